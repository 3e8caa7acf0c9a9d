"""All that is needed to repeat a run."""

from __future__ import annotations

from collections.abc import Mapping

from catsdogs.reporting.page.blocks import Block, Code, Grid, Section


def settings_section(
    command: str, config: str | None, environment: Mapping[str, str], engine: str | None
) -> Section:
    """Return the settings of a run and what it ran on.

    Args:
        command: That makes it again.
        config: ``config.yaml`` as it is; None where the command says everything.
        environment: Name -> version, as ``plan.json`` holds it.
        engine: What computed the evaluation.
    """
    rows = tuple(environment.items()) + ((("evaluated by", engine),) if engine else ())
    blocks: list[Block] = [Grid("Environment", ("what", "version"), rows)]
    if config is not None:
        blocks.append(Code("config.yaml", config))
    return Section("settings", "To repeat it", f"{command} repeats it.", tuple(blocks))
