"""``catsdogs tta fit``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import (
    add_labelled_input,
    add_machine,
    add_model,
    add_views,
    apply_options,
)
from catsdogs.cli.jobs import chosen_job
from catsdogs.cli.parsing import command_parser

_JOBS = {"fit": "Learn how much each view should count, by log loss, and keep it with the model."}


def run(arguments: list[str]) -> None:
    """Parse the command line and learn weights of views."""
    if (chosen := chosen_job("tta", _JOBS, arguments)) is None:
        return
    parser = command_parser("tta fit", _JOBS["fit"])
    add_model(parser)
    add_views(parser, default="ten")
    add_machine(parser)
    add_labelled_input(parser)
    parser.add_argument(
        "--split",
        type=str,
        default="auto",
        help="The run's own pictures: val, test or train; auto: val, unless the model has learned from it.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Of folds and intervals.")
    options = parser.parse_args(chosen[1])
    tune_allocator()
    from catsdogs.workflows.tta import fit_views

    fit_views(
        Path(options.checkpoint),
        apply_options(options),
        input_path=options.input,
        split=options.split,
        seed=options.seed,
    )
