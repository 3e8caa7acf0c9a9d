"""``catsdogs predict``."""

from __future__ import annotations

import sys
from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import command_parser
from catsdogs.cli.viewoptions import add_view_options


def run(arguments: list[str]) -> None:
    """Parse the command line and predict."""
    parser = command_parser("predict", "Classify every file of a folder, a zip, one file, or a list.")
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--checkpoint",
        type=str,
        default="embedded",
        help="Run folder or model folder; by default the cats-and-dogs classifier that catsdogs carries.",
    )
    parser.add_argument(
        "--input",
        type=str,
        required=True,
        help="Folder (recursive), zip or file; '-' reads a list of paths from stdin.",
    )
    parser.add_argument("--output", type=str, default="predictions.csv", help="Where the rows go.")
    add_view_options(parser)
    parser.add_argument(
        "--submission", type=str | None, default=None, help="Also write Kaggle's id,label to this file."
    )
    parser.add_argument("--devices", type=int, default=1, help="Processes or GPUs that share the pictures.")
    parser.add_argument(
        "--engine",
        type=str,
        default="auto",
        help="auto (the fastest installed, by a short trial), torch, compile, onnxruntime or openvino.",
    )
    parser.add_argument("--precision", type=str, default="auto", help="auto (a short trial), fp32 or bf16.")
    parser.add_argument(
        "--workers", type=int | None, default=None, help="Decoding threads (default: the cores)."
    )
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.predict import predict

    predict(
        Path(options.checkpoint),
        _listed() if options.input == "-" else options.input,
        Path(options.output),
        tta=options.tta,
        merge=options.tta_merge,
        submission=Path(options.submission) if options.submission else None,
        engine=options.engine,
        precision=options.precision,
        workers=options.workers,
        devices=options.devices,
    )


def _listed() -> list[str]:
    """Read one path a line; bytes that are not UTF-8 survive."""
    data = sys.stdin.buffer.read()
    return [line.decode("utf-8", "surrogateescape") for line in data.splitlines() if line]
