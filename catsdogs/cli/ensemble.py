"""``catsdogs ensemble``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.applyoptions import add_labelled_input
from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and make an ensemble."""
    parser = command_parser(
        "ensemble", "Make one model of several, and say what it brought and why not more."
    )
    parser.add_argument(
        "members",
        type=str,
        nargs="+",
        help="Run or model folders, or a folder of catsdogs tune kfold or seeds.",
    )
    parser.add_argument("--run", type=str, required=True, help="Folder of the ensemble; a --checkpoint.")
    parser.add_argument(
        "--vote",
        type=str,
        default="soft",
        help="soft (mean of probabilities), majority, or weighted (soft, weights from held-out pictures).",
    )
    parser.add_argument(
        "--select",
        type=str,
        default="all",
        help="all members, or greedy: those that lower the log loss of held-out pictures, with replacement.",
    )
    parser.add_argument(
        "--soup",
        type=bool,
        default=False,
        help="true: average the networks' weights into one network of the same size instead.",
    )
    add_labelled_input(parser)
    parser.add_argument("--seed", type=int, default=0, help="Of intervals, folds and subsets.")
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.ensemble import ensemble

    ensemble(
        [Path(member) for member in options.members],
        Path(options.run),
        vote=options.vote,
        select=options.select,
        soup=options.soup,
        input_path=options.input,
        seed=options.seed,
    )
