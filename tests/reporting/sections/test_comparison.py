import numpy as np

from catsdogs.core.comparison import Comparison
from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.comparison import compare
from catsdogs.reporting.page.blocks import Drawing, Gallery, Grid
from catsdogs.reporting.sections.comparison import comparison_section


def compared(models: int) -> Comparison:
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 2, 60)
    names = tuple(f"runs/{place}" for place in range(models))
    made = [
        Predictions(
            tuple(f"{i}.jpg" for i in range(60)),
            ("cat", "dog"),
            (1.0 + place) * np.eye(2)[labels] + chance.normal(size=(60, 2)),
            labels,
        )
        for place in range(models)
    ]
    return compare(made, names, resamples=50)


def test_lead_figure_in_words_and_galleries_of_changed_pictures() -> None:
    found = compared(2)
    section = comparison_section(found)
    assert section.lead.startswith("60 pictures that all have answered. ")
    drawing = next(block for block in section.blocks if isinstance(block, Drawing))
    assert "runs/1: accuracy +" in drawing.text
    assert len(drawing.figure().axes) == 2
    galleries = [block for block in section.blocks if isinstance(block, Gallery)]
    other = found.others[0]
    assert galleries[0].title.startswith(f"{other.fixed} pictures that runs/1 has fixed")
    assert [thumb.id for thumb in galleries[0].pictures] == [c.id for c in other.fixed_pictures]
    assert all(set(gallery.anchor) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for gallery in galleries)
    grids = [block for block in section.blocks if isinstance(block, Grid)]
    assert all(len(row) == len(grid.header) for grid in grids for row in grid.rows)


def test_of_three_there_is_a_matrix() -> None:
    titles = [b.title for b in comparison_section(compared(3)).blocks if isinstance(b, Grid)]
    assert "Points of accuracy that the row has over the column" in titles
