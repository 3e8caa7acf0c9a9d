"""All that is needed to repeat a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from catsdogs.reporting.page.blocks import Code, Grid, Section


def settings_section(name: str, config: str, environment: Mapping[str, str], engine: str | None) -> Section:
    """Return the settings of a run and what it ran on.

    Args:
        name: Of its folder.
        config: ``config.yaml`` as it is.
        environment: Name -> version, as ``plan.json`` holds it.
        engine: What computed the evaluation.
    """
    rows = tuple(environment.items()) + ((("evaluated by", engine),) if engine else ())
    again = shlex.quote(f"{name}-again")
    lead = f"catsdogs train --config config.yaml --run {again} repeats it."
    blocks = (Grid("Environment", ("what", "version"), rows), Code("config.yaml", config))
    return Section("settings", "To repeat it", lead, blocks)
