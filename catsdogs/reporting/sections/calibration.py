"""Whether a model that says 0.9 is right nine times in ten, before and after its temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from catsdogs.core.predictions import Predictions
from catsdogs.core.temperature import log_loss
from catsdogs.evaluation import metrics
from catsdogs.evaluation.calibration import Reliability, mass_bin, reliability
from catsdogs.reporting.page.blocks import Block, Drawing, Grid, Section

_BINS = 8


def calibration_section(test: Predictions, held_out: Predictions | None, temperature: float) -> Section:
    """Return the reliability of test and held-out answers, and what the temperature did.

    Args:
        test: Calibrated answers with labels.
        held_out: Those that the temperature was fitted on, calibrated; None where there are none.
        temperature: Of the model; 1 changes nothing.
    """
    sets = [("test", test.scorable())]
    if held_out is not None:
        sets.append(("held-out", held_out.scorable()))
    rows, drawn = [], []
    for name, said in sets:
        before = replace(said, logits=said.logits * temperature)
        drawn.append((name, _parts(before), _parts(said)))
        rows.append((f"{name}, before", *_figures(before)))
        rows.append((f"{name}, after", *_figures(said)))
    if temperature == 1:
        rows = [(name.partition(",")[0], *rest) for name, *rest in rows[1::2]]
    blocks: list[Block] = [
        Grid("Around the temperature", ("pictures", "log loss", "ECE", "ECE, equal mass"), tuple(rows)),
        Drawing(
            "Reliability: confidence against accuracy, bins of equally many pictures",
            partial(draw_reliability, drawn, temperature),
            " ".join(_told(name, after) for name, _, after in drawn),
        ),
    ]
    return Section(
        "calibration", "Whether its probabilities are honest", _lead(sets[0][1], temperature), tuple(blocks)
    )


def _lead(test: Predictions, temperature: float) -> str:
    if temperature == 1:
        return "The probabilities are as they come from the head: there is no temperature."
    before = log_loss(test.logits * temperature, test.labels)
    after = log_loss(test.logits, test.labels)
    direction = "less" if temperature > 1 else "more"
    harm = "" if after <= before else ", so it did not help there"
    return (
        f"A temperature of {temperature:.2f} makes the model {direction} sure; on the test pictures the log "
        f"loss was {before:.4f} and is {after:.4f}{harm}. It changes no label."
    )


def _figures(said: Predictions) -> tuple[str, ...]:
    shares, labels = said.probabilities, said.labels
    return (
        f"{log_loss(said.logits, labels):.4f}",
        f"{metrics.ece(shares, labels):.4f}",
        f"{metrics.ece_mass(shares, labels):.4f}",
    )


def _parts(said: Predictions) -> Reliability:
    return reliability(said.probabilities, said.labels, _BINS, mass_bin)


def _told(name: str, parts: Reliability) -> str:
    known = parts.count > 0
    pairs = [
        f"said {said:.1%}, right {right:.1%}"
        for said, right in zip(parts.confidence[known], parts.accuracy[known], strict=True)
    ]
    return f"Of {name} pictures, least sure first: {'; '.join(pairs)}."


def draw_reliability(drawn: Sequence[tuple[str, Reliability, Reliability]], temperature: float) -> Figure:
    """Draw accuracy against confidence, before and after the temperature, one panel a set of pictures."""
    figure = Figure(figsize=(4.6 * len(drawn), 4.2), layout="constrained")
    for axes, (name, before, after) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        lowest = float(np.nanmin([before.confidence, before.accuracy, after.confidence, after.accuracy]))
        axes.plot([lowest, 1], [lowest, 1], color="0.6", linestyle=":", label="honest")
        if temperature != 1:
            _line(axes, before, "0.55", f"before (T = {temperature:.2f})")
        _line(axes, after, "tab:blue", "after" if temperature != 1 else "as it is")
        axes.set_title(f"{name} pictures")
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that is right")
        axes.grid(alpha=0.3)
    # Below the panels, where it hides no point.
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def _line(axes: Axes, parts: Reliability, colour: str, label: str) -> None:
    known = parts.count > 0
    x, y, n = parts.confidence[known], parts.accuracy[known], parts.count[known]
    error = 1.96 * np.sqrt(np.maximum(y * (1 - y), 1 / (n + 2)) / n)
    low, high = np.minimum(error, y), np.minimum(error, 1 - y)
    axes.errorbar(x, y, yerr=[low, high], fmt="o-", color=colour, markersize=4, capsize=2, label=label)
