"""``catsdogs backbones``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import OneLineParser, command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and compare."""
    options = _parser().parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.backbones import BackboneSettings, compare_backbones

    compare_backbones(
        BackboneSettings(
            pattern=options.pattern,
            weights=tuple(options.weights),
            root=options.data.root,
            group_by=options.data.group_by,
            limit_per_class=options.data.limit_per_class,
            limit=options.limit,
            sort=options.sort,
            speed=options.speed,
            workers=options.data.workers,
            seed=options.seed,
            out=Path(options.out) if options.out else None,
            json=Path(options.json) if options.json else None,
        )
    )


def _parser() -> OneLineParser:
    parser = command_parser(
        "backbones",
        "Say which backbone to take: size, accuracy, licence and speed on this machine; with pictures, also "
        "how well each one that is at hand tells them apart. Nothing is downloaded.",
    )
    parser.add_argument(
        "--pattern",
        type=str | None,
        default=None,
        help="Names with * and |, such as 'mobilenet*|resnet50' or 'resnet50.*' (default: a short list).",
    )
    parser.add_argument(
        "--weights", type=str, nargs="+", default=[], help="Local weights: files, and folders of them."
    )
    parser.add_argument(
        "--data.root", type=str | None, default=None, help="Labelled pictures to try the backbones on."
    )
    parser.add_argument(
        "--data.group_by", type=str | None, default=None, help="Regular expression of groups in file names."
    )
    parser.add_argument(
        "--data.limit_per_class",
        type=int | None,
        default=None,
        help="Pictures of each class (default: about 2,000 in all, and never more).",
    )
    parser.add_argument("--data.workers", type=int | None, default=None, help="Decoding threads.")
    parser.add_argument("--limit", type=int, default=20, help="Rows at most.")
    parser.add_argument(
        "--sort",
        type=str | None,
        default=None,
        help="name, parameters, top1, speed, accuracy or log_loss (default: log_loss with pictures).",
    )
    parser.add_argument("--speed", type=bool, default=True, help="Time each one on this machine.")
    parser.add_argument(
        "--seed", type=int, default=0, help="Of the pictures that are drawn and of the folds."
    )
    parser.add_argument("--out", type=str | None, default=None, help="Also write the rows to this CSV file.")
    parser.add_argument(
        "--json", type=str | None, default=None, help="Also write the rows to this JSON file."
    )
    return parser
