"""``catsdogs compare``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and compare."""
    parser = command_parser(
        "compare", "Say whether one run is better than another, picture by picture, and how sure that is."
    )
    parser.add_argument(
        "answers",
        type=str,
        nargs="+",
        help="Two or more run folders, folders of evaluations, or .npz files of predictions; "
        "the others are compared with the first.",
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="Folder for comparison.json and its figure."
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the bootstrap intervals.")
    values = parser.parse_args(arguments).as_dict()
    from catsdogs.workflows.compare import compare_answers

    compare_answers(
        [Path(path) for path in values["answers"]],
        out=Path(values["out"]) if values["out"] else None,
        seed=values["seed"],
    )
