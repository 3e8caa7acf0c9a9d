"""``catsdogs export``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import add_model
from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and export."""
    parser = command_parser(
        "export", "Write a model as a file that others run, after comparing it with torch on real pictures."
    )
    add_model(parser)
    parser.add_argument("--format", type=str, default="onnx", help="onnx, openvino or torch-export.")
    parser.add_argument("--out", type=str, required=True, help="The file, or a folder for it.")
    parser.add_argument(
        "--precision", type=str, default="fp32", help="fp32; fp16 for openvino, bf16 for torch-export."
    )
    parser.add_argument(
        "--input",
        type=str | None,
        default=None,
        help="Pictures to compare on (default: the run's test or val pictures).",
    )
    parser.add_argument("--pictures", type=int, default=64, help="How many of them at most.")
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.export import export

    export(
        Path(options.checkpoint),
        Path(options.out),
        format_name=options.format,
        precision=options.precision,
        input_path=options.input,
        pictures=options.pictures,
    )
