"""``catsdogs demo poison``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.jobs import chosen_job
from catsdogs.cli.parsing import OneLineParser, command_parser

_JOBS = {"poison": "Plant a wrong boundary with a patch on a few training pictures, and see what shows it."}


def run(arguments: list[str]) -> None:
    """Parse the command line and demonstrate."""
    if (chosen := chosen_job("demo", _JOBS, arguments)) is None:
        return
    options = _parser().parse_args(chosen[1])
    tune_allocator()
    from catsdogs.workflows.poison import PoisonSettings, poison

    poison(
        PoisonSettings(
            root=options.data.root,
            limit_per_class=options.data.limit_per_class,
            workers=options.data.workers,
            backbone=options.model.backbone,
            weights=options.model.weights,
            doses=tuple(options.doses),
            patch=options.patch,
            copies=options.copies,
            seed=options.seed,
        ),
        Path(options.out),
    )


def _parser() -> OneLineParser:
    parser = command_parser("demo poison", _JOBS["poison"])
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--data.root", type=str, default="drawn", help="Labelled folder, zip or manifest; 'drawn' needs none."
    )
    parser.add_argument(
        "--data.limit_per_class", type=int | None, default=300, help="Pictures of each class at most."
    )
    parser.add_argument("--data.workers", type=int | None, default=None, help="Decoding threads.")
    parser.add_argument("--model.backbone", type=str | None, default=None, help="As for training.")
    parser.add_argument(
        "--model.weights", type=str, default="embedded", help="As for training; 'embedded' works offline."
    )
    parser.add_argument(
        "--doses",
        type=list[float],
        default=[0.02, 0.05, 0.1, 0.2],
        help="Shares of the first class's training pictures that are patched and called the second class.",
    )
    parser.add_argument(
        "--patch", type=float, default=0.15, help="Side of the patch over the picture's shorter side."
    )
    parser.add_argument(
        "--copies",
        type=bool,
        default=True,
        help="Add the poisoned pictures beside their originals; false puts them in their place.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Of split, folds and what is poisoned.")
    parser.add_argument("--out", type=str, default="runs/poison", help="Folder of the results.")
    return parser
