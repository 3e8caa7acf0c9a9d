"""``catsdogs preview``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import command_parser
from catsdogs.core.nesting import nested
from catsdogs.workflows.settings import TrainSettings, sections


def run(arguments: list[str]) -> None:
    """Parse the command line and draw the sheet."""
    parser = command_parser(
        "preview", "Draw pictures beside what training would make of them; takes the options of training."
    )
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument("--pictures", type=int, default=6, help="Rows of the sheet, class by class in turn.")
    parser.add_argument("--views", type=int, default=4, help="What so many epochs make of each picture.")
    parser.add_argument("--out", type=str, default="preview.png", help="Where the sheet goes, as PNG.")
    parser.add_argument("--seed", type=int, default=0, help="Of the pictures and their augmentation.")
    for name, settings in sections().items():
        parser.add_class_arguments(settings, name)
    values = parser.parse_args(arguments).as_dict()
    tune_allocator()
    from catsdogs.workflows.preview import preview

    preview(
        nested(TrainSettings, {name: values[name] for name in ("seed", *sections())}),
        Path(values["out"]),
        pictures=values["pictures"],
        views=values["views"],
    )
