import re

import numpy as np

from catsdogs.core.ensemblereport import EnsembleReport
from catsdogs.core.predictions import Predictions
from catsdogs.core.voting import Vote
from catsdogs.evaluation.ensembles import judge
from catsdogs.reporting.page.blocks import Drawing, Grid
from catsdogs.reporting.page.vector import to_svg
from catsdogs.reporting.sections.ensemble import ensemble_section


def report(names: tuple[str, ...]) -> EnsembleReport:
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 2, 60)
    ids = tuple(f"{i}.jpg" for i in range(60))
    logits = np.eye(2)[labels] + chance.normal(size=(len(names), 60, 2))
    members = [Predictions(ids, ("cat", "dog"), own, labels) for own in logits]
    together = Predictions(ids, ("cat", "dog"), Vote.of("soft", [1] * len(names)).merge(logits), labels)
    judgement = judge(members, names, together, kind="soft", best=names[0], voting=names, source="test")
    return EnsembleReport(
        "soft", dict.fromkeys(names, 1 / len(names)), (), "equal weights", 0, 1.0, judgement
    )


def test_it_tells_members_sizes_and_why() -> None:
    section = ensemble_section(report(("a", "b", "c")))
    drawing = next(block for block in section.blocks if isinstance(block, Drawing))
    assert "all 3 together" in drawing.text
    assert "The errors correlate by" in drawing.text
    assert "the ensemble" in section.lead
    grids = [block for block in section.blocks if isinstance(block, Grid)]
    assert [row[0] for row in grids[0].rows] == ["a", "b", "c", "the ensemble"]
    assert all(len(row) == len(grid.header) for grid in grids for row in grid.rows)


def test_one_member_and_none_to_judge() -> None:
    assert ensemble_section(report(("a",))).blocks
    bare = EnsembleReport("majority", {"a": 0.5, "b": 0.5}, ("c",), "equal weights", 0, 1.0)
    assert "nothing judges this ensemble" in ensemble_section(bare).lead


def test_numbers_on_coloured_cells_do_not_follow_the_page() -> None:
    drawing = next(b for b in ensemble_section(report(("a", "b"))).blocks if isinstance(b, Drawing))
    cells = re.findall(r"<text([^>]*)>([01]\.\d\d)</text>", to_svg(drawing.figure(), "one"))
    assert [style for style, number in cells if number == "1.00" and "#111111" in style]
    assert not [style for style, _ in cells if "--paper" in style]
