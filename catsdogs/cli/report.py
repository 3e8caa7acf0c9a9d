"""``catsdogs report``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and write the page."""
    parser = command_parser(
        "report", "Write one HTML file that tells a run, or several beside each other; it needs no network."
    )
    parser.add_argument("runs", type=str, nargs="+", help="Run folders.")
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="The file (default: report.html in the run; of several runs, report.html here).",
    )
    options = parser.parse_args(arguments)
    from catsdogs.reporting.console import say
    from catsdogs.workflows.report import write_page

    place = write_page([Path(run) for run in options.runs], Path(options.out) if options.out else None)
    say(f"written: {place} ({place.stat().st_size / 1e6:.1f} MB)")
