"""``catsdogs evaluate``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import (
    add_labelled_input,
    add_machine,
    add_merge,
    add_model,
    add_views,
    apply_options,
)
from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and evaluate."""
    parser = command_parser(
        "evaluate", "Judge a model on the pictures it was not trained on, or on any labelled ones."
    )
    add_model(parser)
    add_labelled_input(parser)
    parser.add_argument(
        "--split", type=str, default="test", help="The run's own pictures: test, val or train."
    )
    add_views(parser)
    add_merge(parser)
    add_machine(parser)
    parser.add_argument(
        "--out", type=str | None, default=None, help="Folder of the results (default: in the run)."
    )
    parser.add_argument(
        "--slices",
        type=str | None,
        default=None,
        help="CSV with a column path and others, such as camera or age: are they where the model fails?",
    )
    parser.add_argument(
        "--corrections",
        type=str | None,
        default=None,
        help="An edited labels.csv: figures on its labels, and on those that were given.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the bootstrap intervals.")
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.evaluate import evaluate

    evaluate(
        Path(options.checkpoint),
        apply_options(options),
        input_path=options.input,
        split=options.split,
        out=Path(options.out) if options.out else None,
        slices=options.slices,
        corrections_path=options.corrections,
        seed=options.seed,
    )
