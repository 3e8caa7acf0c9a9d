import io

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from catsdogs.core.estimate import Estimate
from catsdogs.evaluation.association import ClassDifference
from catsdogs.evaluation.intervals import difference, wilson
from catsdogs.evaluation.mistakes import Answer
from catsdogs.evaluation.slices import SliceResult, SlicesReport
from catsdogs.reporting.page.blocks import Drawing, Gallery, Grid
from catsdogs.reporting.sections.slices import draw_slices, slices_section


def result(title, right, n, p, *, bias=False, pictures=()):
    own, rest = wilson(right, n), wilson(485, 500)
    return SliceResult(
        "brightness",
        title,
        "brightness up to 0.31",
        title.split(":")[0],
        n,
        own,
        rest,
        difference(own, rest),
        0.4,
        0.06,
        p,
        p < 0.05,
        bias,
        pictures,
    )


MISTAKE, DOUBT = Answer("a.jpg", "dog", "cat", 0.9, 2.3), Answer("b.jpg", "dog", "dog", 0.6, 0.5)
DARK = ClassDifference("brightness", "dog", "bright", Estimate(0.9, 0.85, 0.93))
REPORT = SlicesReport(
    800,
    wilson(760, 800),
    126,
    (
        result("dog: dark", 80, 100, 0.001, bias=True, pictures=(MISTAKE, DOUBT)),
        result("cat: bright $x_1$", 90, 100, 0.2),
        result("cat: dark", 99, 100, 1.0),
    ),
    (DARK,),
)


def test_the_lead_says_the_worst_slice_and_where_it_comes_from():
    lead = slices_section(REPORT).lead
    assert lead.startswith("The model has a bias: dog: dark (brightness up to 0.31): 80.0% (71.1% to 86.7%)")
    assert "of the other dog pictures" in lead
    assert lead.endswith("AUROC 0.90 (0.85 to 0.93)): the model may have learned that.")


def test_nothing_found_and_nothing_looked_at_are_said():
    nothing = SlicesReport(800, wilson(760, 800), 126, REPORT.slices[1:])
    assert slices_section(nothing).lead == "None of 126 slices is worse than the rest beyond chance."
    few = slices_section(SlicesReport(9, wilson(9, 9), 0, ()))
    assert "9 labelled pictures are too few" in few.lead
    assert few.blocks == ()


def test_mistakes_of_the_found_slice_are_shown_with_their_captions():
    (gallery,) = [block for block in slices_section(REPORT).blocks if isinstance(block, Gallery)]
    assert [(one.id, one.caption) for one in gallery.pictures] == [
        ("a.jpg", "cat 90.0%, is dog"),
        ("b.jpg", "dog 60.0%"),
    ]


def test_tables_have_a_row_for_each_slice_and_difference():
    slices, classes = [block for block in slices_section(REPORT).blocks if isinstance(block, Grid)]
    assert [row[0] for row in slices.rows] == [one.title for one in REPORT.slices]
    assert all(len(row) == len(grid.header) for grid in (slices, classes) for row in grid.rows)
    assert classes.rows == (("brightness", "dog", "bright", "0.90 (0.85 to 0.93)", "yes"),)


def test_the_figure_has_intervals_worst_on_top_and_the_overall_accuracy():
    figure = draw_slices(REPORT.slices, 0.95)
    axes = figure.axes[0]
    assert axes.get_yticklabels()[0].get_text() == "dog: dark (100)"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    first = axes.get_lines()[0]
    assert list(first.get_xdata()) == pytest.approx([0.711, 0.867], abs=1e-3)
    assert any(list(line.get_xdata()) == [0.95, 0.95] for line in axes.get_lines())
    FigureCanvasAgg(figure).print_png(io.BytesIO())


def test_the_figure_is_told_in_words():
    (drawing,) = [block for block in slices_section(REPORT).blocks if isinstance(block, Drawing)]
    assert "All pictures: 95.0%. dog: dark: 80.0% (71.1% to 86.7%), found; cat: bright" in drawing.text
