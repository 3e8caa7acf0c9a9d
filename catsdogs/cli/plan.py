"""``catsdogs plan``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import command_parser
from catsdogs.core.nesting import nested
from catsdogs.workflows.settings import TrainSettings, sections


def run(arguments: list[str]) -> None:
    """Parse the command line and show the plan."""
    parser = command_parser(
        "plan", "Show which layers a run would train, when and at which rate, and why; train nothing."
    )
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--pictures",
        type=int | None,
        default=None,
        help="Plan for so many training pictures and look at none (not with auto).",
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="Folder for plan.png, plan.json and evidence.png."
    )
    parser.add_argument("--seed", type=int, default=0, help="Of split and folds.")
    for name, settings in sections().items():
        parser.add_class_arguments(settings, name)
    values = parser.parse_args(arguments).as_dict()
    tune_allocator()
    from catsdogs.workflows.plan import plan

    plan(
        nested(TrainSettings, {name: values[name] for name in ("seed", *sections())}),
        pictures=values["pictures"],
        out=Path(values["out"]) if values["out"] else None,
    )
