"""Which strategy was taken, and on what evidence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from catsdogs.reporting.evidencefigures import draw_evidence
from catsdogs.reporting.page.blocks import Block, Drawing, Grid, Section


def plan_section(plan: Mapping[str, Any]) -> Section:
    """Return the choice and its grounds.

    Args:
        plan: As ``plan.json`` holds it.
    """
    lead = f"{plan['strategy']}: {plan['summary']}"
    lead += "" if lead.endswith(".") else "."
    choice = plan.get("choice")
    if choice is None:
        return Section("plan", "The strategy", f"{lead} It was asked for by name.", _probe(plan))
    if choice["runner_up"]:
        lead += f" Chosen by {choice['decided_by']} before {choice['runner_up']}"
        lead += "." if choice["confidence"] is None else f", {choice['confidence']:.0%} sure."
    evidence = plan["evidence"]
    rows = tuple(
        (
            f"stage {' + '.join(one['stages'])}" if "stages" in one else f"stage {one['stage']}",
            kind,
            "-" if one["accuracy"] is None else f"{one['accuracy']:.2%}",
            "-" if one["log_loss"] is None else f"{one['log_loss']:.4f}",
        )
        for kind in ("linear", "svm")
        for one in evidence["stages" if kind == "linear" else "svm"]
    )
    blocks: tuple[Block, ...] = (
        Drawing("Evidence", partial(draw_evidence, plan), _told(plan)),
        Grid("Cross-validated probes", ("features", "probe", "accuracy", "log loss"), rows, folded=True),
    )
    return Section("plan", "The strategy, and why", lead, blocks)


def _probe(plan: Mapping[str, Any]) -> tuple[Block, ...]:
    probe = plan.get("probe")
    if not probe or probe["log_loss"] is None:
        return ()
    row = (
        f"{probe['kind']} probe on stage {' + '.join(probe['stages'])}",
        f"{probe['accuracy']:.2%}",
        f"{probe['log_loss']:.4f}",
        f"{probe['pictures']:,}",
    )
    return (Grid("The head that it starts from", ("probe", "accuracy", "log loss", "pictures"), (row,)),)


def _told(plan: Mapping[str, Any]) -> str:
    cell, evidence = plan["cell"], plan["evidence"]
    stages = [one for one in evidence["stages"] if one["log_loss"] is not None]
    text = (
        f"{cell['pictures']:,} training pictures, which is {'plenty' if cell['plenty'] else 'little'}; "
        f"similarity to what the backbone knows {cell['similarity']:.2f}, which is "
        f"{'similar' if cell['similar'] else 'different'}."
    )
    if stages:
        best = min(stages, key=lambda one: float(one["log_loss"]))
        text += f" The best linear probe is on stage {best['stage']}: log loss {best['log_loss']:.3f}."
    twice = evidence["log_loss_at_twice_the_pictures"]
    if twice is not None and evidence["growth"]:
        now = evidence["growth"][-1]["log_loss"]
        text += f" Twice the pictures would bring the log loss from {now:.3f} to {twice:.3f}."
    return text
