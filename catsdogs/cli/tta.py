"""``catsdogs tta fit``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import add_machine, add_model, add_views, apply_options
from catsdogs.cli.parsing import command_parser
from catsdogs.core.errors import ConfigError


def run(arguments: list[str]) -> None:
    """Parse the command line and learn weights of views."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: catsdogs tta fit [options]\n\n  fit  learn how much each view should count\n")
        print("catsdogs tta fit --help tells the options.")
        return
    if arguments[0] != "fit":
        raise ConfigError(f"catsdogs tta {arguments[0]}: there is fit (see catsdogs tta --help)")
    parser = command_parser(
        "tta fit", "Learn how much each view should count, by log loss, and keep it with the model."
    )
    add_model(parser)
    add_views(parser, default="ten")
    add_machine(parser)
    parser.add_argument(
        "--input",
        type=str | None,
        default=None,
        help="Labelled folder, zip or manifest.csv from outside the run.",
    )
    parser.add_argument(
        "--split",
        type=str,
        default="auto",
        help="The run's own pictures: val, test or train; auto: val, unless the model has learned from it.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Of folds and intervals.")
    options = parser.parse_args(arguments[1:])
    tune_allocator()
    from catsdogs.workflows.tta import fit_views

    fit_views(
        Path(options.checkpoint),
        apply_options(options),
        input_path=options.input,
        split=options.split,
        seed=options.seed,
    )
