"""``catsdogs labels``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and list the labels that look wrong."""
    parser = command_parser(
        "labels",
        "List the labels that look wrong, by models that have not learned from the picture, as a CSV to "
        "edit: change its column 'label', or write 'remove', and train again with --data.corrections.",
    )
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--checkpoint", type=str, required=True, help="Folder of a run, or of catsdogs tune kfold."
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="The CSV (default: labels.csv in that folder)."
    )
    parser.add_argument(
        "--all",
        type=bool,
        nargs="?",
        const=True,
        default=False,
        help="Check the test pictures too, and whatever the run's own cross-validation left out.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the interval.")
    options = parser.parse_args(arguments)
    tune_allocator()
    from catsdogs.workflows.labels import find_label_errors

    find_label_errors(
        Path(options.checkpoint),
        out=Path(options.out) if options.out else None,
        everything=options.all,
        seed=options.seed,
    )
