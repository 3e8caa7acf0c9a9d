"""Parsing a command line: jsonargparse with one line for every mistake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from catsdogs.core.errors import ConfigError

_LONGEST = 400
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a table",
    "list": "a list",
}

set_parsing_settings(docstring_parse_attribute_docstrings=False)


class OneLineParser(ArgumentParser):
    """A parser that raises a one-line ``ConfigError`` instead of printing usage, tips and a trace."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Refuse the command line.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{_one_line(message)} (see {self.prog} --help)") from ex


def command_parser(command: str, description: str) -> OneLineParser:
    """Return the parser of one command; options must be spelled out."""
    return OneLineParser(prog=f"catsdogs {command}", description=description, allow_abbrev=False)


def config_paths(arguments: Sequence[str]) -> list[str]:
    """Return the files that ``--config`` names, without parsing anything else."""
    paths = [word.partition("=")[2] for word in arguments if word.startswith("--config=")]
    return paths + [after for word, after in pairwise(arguments) if word == "--config"]


def _one_line(message: str) -> str:
    """Say what jsonargparse found wrong as a person would: the option, what it takes, what it got."""
    flat = " ".join(line.strip(" -") for line in message.splitlines() if line.strip())
    misfit = re.search(r'Parser key "([\w.]+)": (.*)', flat)
    if misfit is None:
        return flat[:_LONGEST]
    option, reason = misfit.groups()
    if option == "config":
        return f"--config: {reason[:_LONGEST]}"
    wanted = [name for name in re.findall(r"<class '(\w+)'>", reason) if name not in ("NoneType", "str")]
    choices = re.search(r"Literal\[([^\]]+)\]", reason)
    given = re.search(r"(?:Given value|Got value): (.+)$", reason)
    if given is None or not (wanted or choices):
        return f"--{option}: {reason[:_LONGEST]}"
    expected = f"one of {choices[1]}" if choices else _KINDS.get(wanted[0], wanted[0])
    return f"--{option} takes {expected}, not {given[1]!r}"
