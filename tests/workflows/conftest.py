"""What every test of this folder may save."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from catsdogs.reporting.figures import save_figure
from catsdogs.workflows import train


@pytest.fixture(autouse=True)
def curves_as_they_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the two figures of every run without laying them out, which takes longer than a short training.

    ``tests/reporting`` and the runs that a whole module shares lay them out.
    """

    def save(figure: Figure, path: Path) -> None:
        figure.set_layout_engine("none")
        save_figure(figure, path)

    monkeypatch.setattr(train, "save_figure", save)
