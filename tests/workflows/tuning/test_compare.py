"""``catsdogs tune compare``: pairs of runs that differ in one thing, and what that thing brings."""

import json

import pytest
from scipy import stats

from catsdogs.cli.main import main
from catsdogs.data.splits import read_split
from catsdogs.evaluation.repeats import mean_of_runs
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settingsfile import read_settings

TINY = [
    *["--data.root", "drawn:cat,dog?per_class=16&size=40", "--data.workers", "0", "--model.weights", "none"],
    *["--model.backbone", "test_resnet", "--model.input_size", "32", "--trainer.deterministic", "true"],
    *["--transfer.strategy", "linear_probe"],
]


def compare(run, *more):
    return main(["tune", "compare", *TINY, "--run", str(run), *more])


def settings_of(run, name):
    return read_settings(RunFolder(run / name))


def test_pairs_share_their_split_and_seeds_do_not(tmp_path, capsys):
    run = tmp_path / "pairs"
    assert compare(run, "--seeds", "0,3", "--change", "--transfer.strategy svm_probe") == 0
    printed = capsys.readouterr().out
    tests = {}
    for seed in (0, 3):
        of_pair = [
            {one.id for one in read_split(run / f"seed-{seed}-{name}" / "split.csv") if one.split == "test"}
            for name in ("as_asked", "changed")
        ]
        assert of_pair[0] == of_pair[1]
        tests[seed] = of_pair[0]
        assert settings_of(run, f"seed-{seed}-as_asked").transfer.strategy == "linear_probe"
        assert settings_of(run, f"seed-{seed}-changed").transfer.strategy == "svm_probe"
        assert settings_of(run, f"seed-{seed}-changed").seed == seed
    assert tests[0] != tests[3]
    written = json.loads((run / "comparison.json").read_text())
    gains = []
    for one in written["seeds"]:
        for name in ("as_asked", "changed"):
            report = json.loads((run / f"seed-{one['seed']}-{name}" / "evaluation.json").read_text())
            assert one[name]["accuracy"] == report["metrics"]["accuracy"]
        gains.append(one["as_asked"]["log_loss"]["value"] - one["changed"]["log_loss"]["value"])
    assert written["as_asked_minus_changed"]["log_loss"]["value"] == pytest.approx(sum(gains) / 2)
    assert "as asked minus changed, log loss" in printed
    before = (run / "comparison.json").read_bytes()
    assert main(["tune", "compare", "--resume", str(run)]) == 0
    assert (run / "comparison.json").read_bytes() == before


def test_the_interval_is_students():
    values = [0.3, -0.1, 0.4, 0.2, 0.05]
    gain = mean_of_runs(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (gain.low, gain.high) == pytest.approx(tuple(expected))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--count", "1", "--change", "--model.dropout 0.1"], "two or more different seeds"),
        (["--count", "2"], "--change needs the options that change"),
        (["--count", "2", "--change", "--transfer.strategy linear_probe"], "changes nothing"),
        (["--count", "2", "--change", "--data.val_fraction 0.3"], "must leave --data as it is"),
        (["--count", "2", "--change", "--model.dropout 'x"], "no closing quotation"),
        (["--count", "2", "--change", "--model.nothing 1"], "nothing"),
        (
            ["--count", "2", "--change", "--model.head mlp", "--data.test_fraction", "0"],
            "must be more than 0",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(options, named, tmp_path, capsys):
    assert compare(tmp_path / "run", *options) == 2
    assert named in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()
