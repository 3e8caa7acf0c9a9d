"""``catsdogs draw``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.parsing import command_parser
from catsdogs.data.generated import KINDS, write_folder
from catsdogs.reporting.console import progress, say


def run(arguments: list[str]) -> None:
    """Parse the command line and draw."""
    parser = command_parser(
        "draw", "Write a folder of drawn pictures, one folder a class; they are not photos."
    )
    parser.add_argument(
        "--out", type=str, required=True, help="Folder to write; it must not hold other pictures."
    )
    parser.add_argument("--kinds", type=list[str], default=["cat", "dog"], help=f"Of {', '.join(KINDS)}.")
    parser.add_argument("--per_class", type=int, default=300, help="Pictures of each kind.")
    parser.add_argument("--seed", type=int, default=0, help="Another seed draws other pictures.")
    parser.add_argument("--size", type=int, default=160, help="About how many pixels a side.")
    options = parser.parse_args(arguments)
    total = options.per_class * len(options.kinds)
    with progress("drawing", total) as advance:
        count = write_folder(
            Path(options.out),
            kinds=options.kinds,
            per_class=options.per_class,
            seed=options.seed,
            size_px=options.size,
            advance=advance,
        )
    say(f"{count:,} drawn pictures (not photos) of {', '.join(options.kinds)} in {options.out}")
