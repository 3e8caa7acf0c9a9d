"""``catsdogs diagnose``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and diagnose."""
    parser = command_parser(
        "diagnose",
        "Say what learning curves show (underfitting, overfitting, an unrepresentative training or "
        "validation set, a good fit) and by which signs.",
    )
    parser.add_argument(
        "curves",
        type=str,
        nargs="+",
        help="Run folders, or CSV files with columns epoch, train_loss, val_loss "
        "(and train_accuracy, val_accuracy, learning_rate).",
    )
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="Draw into this PNG; of several curves, into this folder.",
    )
    values = parser.parse_args(arguments).as_dict()
    from catsdogs.workflows.diagnose import diagnose_curves

    diagnose_curves(values["curves"], Path(values["out"]) if values["out"] else None)
