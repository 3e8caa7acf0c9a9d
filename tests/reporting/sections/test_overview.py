"""Names are anybody's: figures show them as they are, and keep room for what they are about."""

import io

import pytest
from matplotlib.figure import Figure

from catsdogs.core.estimate import Estimate
from catsdogs.evaluation.learningcurves import LearningCurve
from catsdogs.reporting.sections.overview import draw_losses
from catsdogs.reporting.sections.scores import draw_intervals

NAMES = ["cats $x$ & $a_{b$", "a very long name of a class that goes on and on, as if it were a sentence"]


def texts(figure: Figure) -> str:
    written = io.StringIO()
    figure.savefig(written, format="svg")
    return written.getvalue()


@pytest.mark.filterwarnings("error")
def test_intervals_of_odd_names() -> None:
    figure = draw_intervals(NAMES, [Estimate(0.9, 0.8, 0.95)] * 2, "share")
    assert "cats $x$ &amp; $a_{b$" in texts(figure)
    assert figure.axes[0].get_position().width > 0.5


@pytest.mark.filterwarnings("error")
def test_losses_of_odd_names() -> None:
    curve = LearningCurve.from_values([0.5, 0.4], [0.6, 0.5])
    assert "cats $x$ &amp; $a_{b$" in texts(draw_losses(dict.fromkeys(NAMES, curve)))
