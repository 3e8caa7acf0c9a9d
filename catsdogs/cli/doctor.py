"""``catsdogs doctor``."""

from __future__ import annotations

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import command_parser


def run(arguments: list[str]) -> None:
    """Parse the command line and look around."""
    parser = command_parser("doctor", "Say what was found on this machine and what 'auto' becomes.")
    parser.parse_args(arguments)
    tuned = tune_allocator()
    from catsdogs.workflows.doctor import examine

    examine(allocator_tuned=tuned)
