"""What every test of this folder may save: whole runs draw figures, and laying those out takes longest."""

import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine


@pytest.fixture(autouse=True)
def figures_as_they_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures without laying them out; ``tests/reporting`` and fixtures of a whole module do both."""
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
