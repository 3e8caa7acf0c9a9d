"""``catsdogs evaluate``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import command_parser
from catsdogs.cli.viewoptions import add_view_options


def run(arguments: list[str]) -> None:
    """Parse the command line and evaluate."""
    parser = command_parser(
        "evaluate", "Judge a model on the pictures it was not trained on, or on any labelled ones."
    )
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--checkpoint",
        type=str,
        default="embedded",
        help="Run folder or model folder; by default the cats-and-dogs classifier that catsdogs carries.",
    )
    parser.add_argument(
        "--input",
        type=str | None,
        default=None,
        help="Labelled folder, zip or manifest.csv from outside the run.",
    )
    parser.add_argument(
        "--split", type=str, default="test", help="The run's own pictures: test, val or train."
    )
    add_view_options(parser)
    parser.add_argument(
        "--out", type=str | None, default=None, help="Folder of the results (default: in the run)."
    )
    parser.add_argument("--devices", type=int, default=1, help="Processes or GPUs that share the pictures.")
    parser.add_argument(
        "--engine",
        type=str,
        default="auto",
        help="auto (the fastest installed, by a short trial), torch, compile, onnxruntime or openvino.",
    )
    parser.add_argument("--precision", type=str, default="auto", help="auto (a short trial), fp32 or bf16.")
    parser.add_argument("--seed", type=int, default=0, help="Of the bootstrap intervals.")
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.evaluate import evaluate

    evaluate(
        Path(options.checkpoint),
        input_path=options.input,
        split=options.split,
        tta=options.tta,
        merge=options.tta_merge,
        out=Path(options.out) if options.out else None,
        engine=options.engine,
        precision=options.precision,
        devices=options.devices,
        seed=options.seed,
    )
