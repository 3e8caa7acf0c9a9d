import pytest
from benchmarks import execution, regret
from benchmarks.cells import CELLS
from benchmarks.execution import Places, settings_for
from benchmarks.results import Result
from benchmarks.threshold_choice import (
    CAUTIONS,
    NEVER,
    Draw,
    choose_for,
    read_draws,
    read_thresholds,
    table,
    write_draws,
    write_thresholds,
)
from benchmarks.thresholds import main, measure_draw

from catsdogs.transfer.thresholds import Thresholds


def draw(cell, *, gap, safe, best, seed=10):
    """On 100 pictures with an error of 1 the best is taken while caution is below 100 times the gap."""
    return Draw(cell, seed, pictures=100, gap=gap, error=1.0, safe=safe, best=best)


def tuned(cell, frozen, finetuned):
    """A linear probe and full fine-tuning with these log losses."""
    losses = {"linear_probe": frozen, "finetune_full": finetuned}
    return [
        Result(cell, 0, name, accuracy_a=0.9, accuracy_b=0.9, log_loss_a=loss, log_loss_b=loss)
        for name, loss in losses.items()
    ]


def test_the_best_is_taken_where_its_lead_is_clear_enough():
    one = draw("xray-40", gap=0.3, safe=0.5, best=0.4)
    assert [one.loss(caution) for caution in (0, 20, 30, 40)] == [0.4, 0.4, 0.5, 0.5]


def test_thresholds_of_a_domain_come_from_all_the_others():
    draws = [
        draw("xray-40", gap=0.3, safe=0.5, best=0.1),  # speaks for little caution
        draw("blur-100", gap=0.3, safe=0.5, best=0.6),  # speaks for much
    ]
    careful, daring = choose_for("xray", draws, []), choose_for("blur", draws, [])
    assert careful.caution == Thresholds().caution  # the usual one is among those that cost least
    assert daring.caution == 20.0
    assert choose_for("kaggle", draws, []).caution < 30


def test_relatives_are_left_out_together():
    draws = [draw("public-8000", gap=0.3, safe=0.5, best=0.9), draw("xray-40", gap=0.3, safe=0.5, best=0.1)]
    assert choose_for("kaggle", draws, []).caution == choose_for("kaggle", draws[1:], []).caution == 20.0


def test_plenty_is_where_fine_tuning_begins_to_pay_in_other_domains():
    results = [
        *tuned("xray-40", 0.5, 0.9),
        *tuned("xray-200", 0.4, 0.5),
        *tuned("xray-800", 0.4, 0.2),
        *tuned("kaggle-1600", 0.1, 0.3),
    ]
    draws = [draw("blur-100", gap=0.3, safe=0.5, best=0.1)]
    assert choose_for("kaggle", draws, results).plenty == 200  # on average over 200 and 800 it pays
    assert choose_for("xray", draws, results).plenty == NEVER
    assert choose_for("kaggle", draws, []).plenty == NEVER


def test_draws_and_thresholds_survive_the_disk(tmp_path):
    draws = [draw("xray-40", gap=0.25, safe=0.5, best=0.125), draw("blur-100", gap=0.0, safe=0.5, best=0.5)]
    write_draws(tmp_path / "draws.csv", draws)
    assert read_draws(tmp_path / "draws.csv") == draws
    chosen = {"xray": Thresholds(plenty=NEVER, caution=20.0)}
    write_thresholds(tmp_path / "thresholds.json", chosen)
    assert read_thresholds(tmp_path / "thresholds.json") == chosen
    assert read_draws(tmp_path / "none.csv") == []
    assert read_thresholds(tmp_path / "none.json") == {}
    shown = table(draws, chosen).splitlines()
    assert shown[2].startswith("| xray | never | 20 | 0.5000")
    assert len(shown[0].split("|")) == 5 + len(CAUTIONS)


def test_regret_runs_with_the_thresholds_of_the_domain(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(regret, "_require_files", lambda *_: None)
    monkeypatch.setattr(
        execution,
        "execute",
        lambda cell, seed, strategy, places, thresholds: (
            given.append(thresholds) or Result(cell.name, seed, strategy)
        ),
    )
    of_photos = Thresholds(caution=5.0)
    write_thresholds(tmp_path / "thresholds.json", {"kaggle": of_photos})
    words = [
        "regret",
        "--real",
        str(tmp_path),
        "--work",
        str(tmp_path),
        "--seeds",
        "0",
        "--strategies",
        "auto",
    ]
    words += ["--out", str(tmp_path / "out.csv"), "--thresholds", str(tmp_path / "thresholds.json")]
    regret.main([*words, "--cells", "kaggle-20", "public-8000", "xray-40"])
    assert given == [of_photos, None, of_photos]  # small cells first; the public photos are relatives


def test_a_run_has_the_thresholds_that_it_is_given(tmp_path):
    wanted = Thresholds(plenty=NEVER)
    settings = settings_for(
        CELLS["xray-40"], "auto", seed=0, pictures=tmp_path, weights=tmp_path, thresholds=wanted
    )
    assert settings.transfer.thresholds == wanted


@pytest.mark.real
def test_a_real_draw_is_measured_and_thresholds_are_written(real, tmp_path, capsys):
    cell = CELLS["kaggle-20"]
    one = measure_draw(cell, 10, real=real, work=tmp_path)
    assert one.pictures == 20
    assert 0 < one.safe < 0.5
    write_draws(tmp_path / "draws.csv", [one])
    words = ["--draws", str(tmp_path / "draws.csv"), "--out", str(tmp_path / "thresholds.json")]
    main(["thresholds", "--real", str(real), "--seeds", "10", "--most", "20", *words])
    assert read_thresholds(tmp_path / "thresholds.json")["xray"].caution in CAUTIONS
    assert "| xray |" in capsys.readouterr().out
    assert Places(real, tmp_path).cache.parent == tmp_path
