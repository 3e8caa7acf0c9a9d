"""``catsdogs explain dense``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import add_model
from catsdogs.cli.jobs import chosen_job
from catsdogs.cli.parsing import command_parser

_JOBS = {"dense": "Draw what the model says about every part of a picture, in one pass over all of it."}


def run(arguments: list[str]) -> None:
    """Parse the command line and draw."""
    if (chosen := chosen_job("explain", _JOBS, arguments)) is None:
        return
    parser = command_parser("explain dense", _JOBS["dense"])
    add_model(parser)
    parser.add_argument(
        "--input", type=str, nargs="+", required=True, help="Pictures, or one folder or zip of them."
    )
    parser.add_argument("--out", type=str, required=True, help="Folder of the drawings, one a picture.")
    parser.add_argument(
        "--size",
        type=int | None,
        default=None,
        help="Short side in pixels that pictures are resized to (default: twice the network's input).",
    )
    options = parser.parse_args(chosen[1])
    tune_allocator()
    from catsdogs.workflows.explain import explain_dense

    inputs = options.input[0] if len(options.input) == 1 else options.input
    explain_dense(Path(options.checkpoint), inputs, Path(options.out), size_px=options.size)
