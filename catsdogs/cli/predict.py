"""``catsdogs predict``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import add_machine, add_merge, add_model, add_views, apply_options
from catsdogs.cli.parsing import OneLineParser, command_parser
from catsdogs.core.errors import ConfigError
from catsdogs.workflows.processes import launched_together, process_rank

if TYPE_CHECKING:
    from catsdogs.data.pathlist import PathList

_LIST = "CATSDOGS_PATH_LIST"


def run(arguments: list[str]) -> None:
    """Parse the command line and predict."""
    parser = command_parser(
        "predict", "Classify every file of a folder, an archive, a pattern, one file, or a list."
    )
    add_model(parser)
    _add_input(parser)
    _add_rows(parser)
    _add_beside_rows(parser)
    add_views(parser)
    add_merge(parser)
    add_machine(parser)
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.data.patterns import NamePatterns
    from catsdogs.workflows.outputs import OutputOptions
    from catsdogs.workflows.predict import predict

    predict(
        Path(options.checkpoint),
        _listed(options.devices) if options.input == "-" else options.input,
        OutputOptions(
            output=Path(options.output),
            format=options.format,
            top_k=options.top_k,
            abstain_below=options.abstain_below,
            unfamiliar_from=options.unfamiliar_from,
            submission=_path(options.submission),
            sort_into=_path(options.sort_into),
            sort_by=options.sort_by,
            contact_sheet=_path(options.contact_sheet),
            save_features=_path(options.save_features),
        ),
        apply_options(options),
        patterns=NamePatterns(tuple(options.include), tuple(options.exclude)),
        resume=options.resume,
    )


def _add_input(parser: OneLineParser) -> None:
    parser.add_argument(
        "--input",
        type=str,
        required=True,
        help="Folder (recursive), zip, tar (.gz, .bz2), file, CSV with a column path, or quoted pattern "
        "such as 'a/**/*.jpg'; '-' reads a list of paths from stdin, one a line or divided by zero bytes.",
    )
    for name, what in (
        ("include", "Only files that match one of these"),
        ("exclude", "No file that matches one"),
    ):
        parser.add_argument(
            f"--{name}",
            type=str,
            nargs="+",
            default=[],
            help=f"{what}: patterns of names or folders, such as '*.jpg' thumbs. Case does not matter.",
        )


def _add_rows(parser: OneLineParser) -> None:
    parser.add_argument("--output", type=str, default="predictions.csv", help="Where the rows go.")
    parser.add_argument(
        "--format",
        type=str | None,
        default=None,
        help="csv, jsonl or parquet; by default what the name of --output ends in.",
    )
    parser.add_argument(
        "--resume",
        type=bool,
        default=False,
        nargs="?",
        const=True,
        help="Go on from what an interrupted run with the same options has left, if anything.",
    )
    parser.add_argument(
        "--top-k", "--top_k", type=int | None, default=None, help="Name the K best classes, not every class."
    )
    parser.add_argument(
        "--abstain-below",
        "--abstain_below",
        type=float | None,
        default=None,
        help="No label, and the status abstain, where the best probability is smaller.",
    )
    parser.add_argument(
        "--unfamiliar-from",
        "--unfamiliar_from",
        type=float | None,
        default=None,
        help="No label, and the status abstain, where this share of familiar pictures or more is nearer to "
        "those in training: 0.95 withholds a photo of a car, and one in twenty of what it knows.",
    )


def _add_beside_rows(parser: OneLineParser) -> None:
    parser.add_argument(
        "--submission",
        type=str | None,
        default=None,
        help="Also write Kaggle's id,label to this file, clipped for log loss, and NAME.raw.csv as they are.",
    )
    parser.add_argument(
        "--sort-into",
        "--sort_into",
        type=str | None,
        default=None,
        help="Also link every picture into a folder of its class below this one; nothing is overwritten.",
    )
    parser.add_argument("--sort-by", "--sort_by", type=str, default="link", help="link or copy.")
    parser.add_argument(
        "--contact-sheet",
        "--contact_sheet",
        type=str | None,
        default=None,
        help="Also draw the 100 least sure pictures into this .png or .html.",
    )
    parser.add_argument(
        "--save-features",
        "--save_features",
        type=str | None,
        default=None,
        help="Also write the features of every readable picture, as the head was given them, to this .npz.",
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _listed(devices: int) -> PathList:
    """Read paths from stdin; other processes of this prediction find them in the file of the first."""
    from catsdogs.data.pathlist import PathList

    if launched_together() and _LIST not in os.environ:
        raise ConfigError(
            "--input - has one reader: start one process with --devices, without torchrun or srun"
        )
    if _LIST in os.environ and process_rank():
        return PathList(Path(os.environ[_LIST]))
    paths = PathList.spooled(sys.stdin.buffer)
    if devices > 1:
        os.environ[_LIST] = str(paths.file)
    return paths
