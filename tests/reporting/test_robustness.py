"""Robustness in words, tables and figures, and as JSON."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.estimate import Estimate
from catsdogs.core.robustnessreport import (
    AttackReport,
    Check,
    CorruptionReport,
    RobustnessReport,
    Series,
    Shift,
    ShiftReport,
    Step,
)
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.page.blocks import Drawing, Grid
from catsdogs.reporting.robustnessfigures import draw_robustness
from catsdogs.reporting.robustnesswords import sentences
from catsdogs.reporting.sections.robustness import robustness_section

CLEAN = Estimate(0.98, 0.96, 0.99)


def step(strength: float, setting: str, accuracy: float) -> Step:
    lost = 0.98 - accuracy
    return Step(
        strength,
        setting,
        Estimate(accuracy, max(accuracy - 0.02, 0), min(accuracy + 0.02, 1)),
        Estimate(lost, lost - 0.012, lost + 0.012),
    )


def series(name: str, word: str, *accuracies: float) -> Series:
    return Series(name, tuple(step(n + 1, f"{word} {n}", one) for n, one in enumerate(accuracies)))


REPORT = RobustnessReport(
    split="test",
    n=298,
    n_unreadable=2,
    of=1000,
    class_names=("cat", "dog"),
    seed=0,
    engine="openvino bf16",
    corruptions=CorruptionReport(
        CLEAN,
        (
            series("jpeg", "quality", 0.98, 0.975, 0.97, 0.968, 0.95),
            series("contrast", "times", 0.97, 0.96, 0.9, 0.7, 0.6),
        ),
        Estimate(0.081, 0.07, 0.09),
        Estimate(0.064, 0.05, 0.08),
    ),
    shifts=ShiftReport(
        CLEAN,
        tuple(
            Shift(pixels, Estimate(0.004, 0.001, 0.02), Estimate(0.003, 0.002, 0.004), CLEAN)
            for pixels in (1, 2, 4)
        ),
        room_px=2,
    ),
    attacks=AttackReport(
        CLEAN,
        (
            Series("fgsm", tuple(step(s, f"{s}/255", a) for s, a in ((0.0, 0.98), (1.0, 0.5), (2.0, 0.3)))),
            Series("pgd", tuple(step(s, f"{s}/255", a) for s, a in ((0.0, 0.98), (1.0, 0.2), (2.0, 0.0)))),
        ),
        steps=10,
        halved_at=1.0,
    ),
    checks=(Check("within_budget", True, "fine"),),
)


def test_words_are_about_cost_shift_and_the_strength_that_halves() -> None:
    words = "\n".join(sentences(REPORT))
    assert "8.1 % (7.0 to 9.0) of the answers are wrong, 6.4 points (5.0 to 8.0) more" in words
    assert "contrast (times 4) costs 38.0 points (36.8 to 39.2), the most of any" in words
    assert "JPEG (quality 3) costs 1.2 points (0.0 to 2.4)" in words
    assert "a shift of 2 px changes the answer to 0.4 % (0.1 to 2.0) of the pictures" in words
    assert "room to move every picture by 2 px" in words
    assert "1/255 of PGD (10 steps) is enough to halve the accuracy: 20.0 %" in words
    assert "warning" not in words


def test_a_failed_check_is_a_warning_in_words_and_is_unfolded_on_the_page() -> None:
    failed = replace(REPORT, checks=(*REPORT.checks, Check("pgd_at_most_fgsm", False, "at 1/255 ...")))
    assert "warning: the check 'pgd at most fgsm' failed: at 1/255 ..." in sentences(failed)
    for report, folded in ((REPORT, True), (failed, False)):
        last = robustness_section(report).blocks[-1]
        assert isinstance(last, Grid)
        assert last.folded is folded


def test_a_single_step_that_goes_too_far_is_no_strength() -> None:
    assert "too far" not in "\n".join(sentences(REPORT))
    steps = tuple(step(s, "", a) for s, a in ((0.0, 0.98), (1.0, 0.1), (8.0, 0.3)))
    attacks = replace(REPORT.attacks, halved_at=0.5, series=(Series("fgsm", steps), REPORT.attacks.series[1]))
    pgd = Series("pgd", tuple(step(s, "", a) for s, a in ((0.0, 0.98), (0.5, 0.2))))
    attacks = replace(attacks, series=(attacks.series[0], pgd))
    words = "\n".join(sentences(replace(REPORT, attacks=attacks)))
    assert "goes too far at 8/255: more answers stay right than at 1/255" in words
    assert "by less than a file of 8 bits can hold" in words


def test_a_model_that_stands_has_no_strength_that_halves_it() -> None:
    strong = replace(REPORT, attacks=replace(REPORT.attacks, halved_at=None))
    assert "no PGD up to 2/255 halves the accuracy" in sentences(strong)


def test_the_report_comes_back_from_json(tmp_path: Path) -> None:
    plain = json.loads(json.dumps(REPORT.to_dict(), allow_nan=False))
    assert RobustnessReport.from_dict(plain) == REPORT
    only = replace(REPORT, corruptions=None, shifts=None, engine=None)
    assert RobustnessReport.from_dict(only.to_dict()) == only
    undefined = replace(REPORT, corruptions=replace(REPORT.corruptions, mean_error=Estimate.undefined()))
    back = RobustnessReport.from_dict(json.loads(json.dumps(undefined.to_dict(), allow_nan=False)))
    assert math.isnan(back.corruptions.mean_error.value)
    (tmp_path / "robustness.json").write_text('{"split": "test"}')
    with pytest.raises(DataError, match="not a measurement of robustness"):
        RobustnessReport.load(tmp_path / "robustness.json")


@pytest.mark.parametrize("left_out", [(), ("corruptions",), ("shifts",), ("corruptions", "attacks")])
def test_the_section_and_the_figure_have_what_was_measured(left_out, tmp_path: Path) -> None:
    report = replace(REPORT, **dict.fromkeys(left_out))
    section = robustness_section(report)
    drawings = [block for block in section.blocks if isinstance(block, Drawing)]
    assert len(drawings) == 3 - len(left_out)
    assert all(any(letter.isdigit() for letter in drawing.text) for drawing in drawings)
    assert "298 pictures (test), drawn class by class from 1,000; 2 could not be judged" in str(
        section.blocks
    )
    if not left_out:
        for n, figure in enumerate([draw_robustness(report), *(drawing.figure() for drawing in drawings)]):
            save_figure(figure, tmp_path / f"{n}.png")
            assert (tmp_path / f"{n}.png").stat().st_size > 5000
