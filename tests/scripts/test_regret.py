import itertools
import math

import pytest
from benchmarks.cells import CELLS, STRATEGIES
from benchmarks.regret import main, missing, planned, run_all
from benchmarks.results import Result, Run, add_result, read_results

from catsdogs.core.errors import DataError


def result(run, **values):
    figures = dict.fromkeys(("accuracy_a", "accuracy_b", "log_loss_a", "log_loss_b", "seconds"), 0.5)
    return Result(*run, picked=run.strategy, **{**figures, **values})


def test_results_come_back_as_they_were(tmp_path):
    out = tmp_path / "new" / "regret.csv"
    one = Result("kaggle-20", 0, "auto", picked="svm_probe", candidates="a b", n_train=20, accuracy_a=0.985)
    two = Result("xray-40", 1, "gradual", status="error", reason='no "head", or so')
    for added in (one, two):
        add_result(out, added)
    read = read_results(out)
    assert list(read) == [one.run, two.run]
    assert read[one.run].accuracy_a == 0.985
    assert math.isnan(read[two.run].seconds)
    assert (read[two.run].reason, read[two.run].done) == (two.reason, False)


def test_a_result_takes_the_place_of_the_earlier_one_of_its_run(tmp_path):
    run = Run("kaggle-20", 0, "auto")
    for label in ("one", "two"):
        add_result(tmp_path / "r.csv", result(run, label=label))
    assert [one.label for one in read_results(tmp_path / "r.csv").values()] == ["two"]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "cell,seed,strategy\nkaggle-20,x,auto\n"])
def test_another_csv_is_refused(text, tmp_path):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(DataError, match="line 2"):
        read_results(tmp_path / "r.csv")


def test_cheap_runs_of_the_first_seed_come_first():
    runs = planned(CELLS, (0, 1), None)
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    assert {run.strategy for run in runs[: len(CELLS)]} == {"linear_probe"}
    first = [run for run in runs if run.seed == 0]
    assert [name for name, _ in itertools.groupby(run.strategy for run in first)] == list(STRATEGIES)
    assert len(set(runs)) == len(runs)


def test_the_largest_cell_has_only_what_fits_unless_it_is_asked_for():
    assert "from_scratch" not in {run.strategy for run in planned(["public-8000"], [0], None)}
    assert planned(["public-8000"], [0], ["from_scratch"]) == [Run("public-8000", 0, "from_scratch")]


def test_what_is_known_is_not_run_again_unless_it_failed_or_is_old():
    runs = planned(["kaggle-20"], [0], ["linear_probe", "svm_probe", "auto", "gradual"])
    linear, svm, auto, gradual = runs
    known = {
        linear: result(linear, label="new"),
        svm: result(svm, label="old"),
        auto: result(auto, label="new", status="error"),
    }
    assert list(missing(runs, known, again=None)) == [gradual]
    assert list(missing(runs, known, again="new")) == [svm, auto, gradual]


def test_an_interrupt_loses_only_the_run_in_progress(tmp_path, capsys):
    runs = planned(["kaggle-20"], [0], ["linear_probe", "svm_probe", "auto"])
    out = tmp_path / "r.csv"

    def execute(run):
        if run.strategy == "auto":
            raise KeyboardInterrupt
        return result(run)

    with pytest.raises(KeyboardInterrupt):
        run_all(runs, out, execute)
    assert list(read_results(out)) == runs[:2]
    assert list(missing(runs, read_results(out), again=None)) == runs[2:]
    assert capsys.readouterr().out.startswith("1/3 kaggle-20 0 linear_probe: accuracy 50.00%")


def test_no_run_starts_after_its_time(tmp_path, capsys):
    runs = planned(["kaggle-20"], [0, 1, 2], ["linear_probe"])
    clock = itertools.count(0, 40).__next__
    run_all(runs, tmp_path / "r.csv", result, minutes=1, clock=clock)
    assert list(read_results(tmp_path / "r.csv")) == runs[:1]
    assert "2 runs are left" in capsys.readouterr().out


def test_the_table_needs_the_csv_alone(tmp_path, capsys):
    out = tmp_path / "r.csv"
    for run in planned(["kaggle-20", "xray-40"], [0, 7], None):
        failed = {"status": "error", "reason": "broken"} if run.strategy == "surgical" else {}
        add_result(out, result(run, n_train=20, **failed))
    main(["regret", "--table", "--out", str(out), "--cells", "xray-40"])
    shown = capsys.readouterr().out
    assert "| xray-40 | 2 | 50.0 ± 0.0 / 0.500 |" in shown
    assert "- xray-40 7 surgical: broken" in shown
    assert "kaggle" not in shown
