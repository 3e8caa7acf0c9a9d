"""Compare: is one run better than another on the same pictures?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catsdogs.core.comparison import Comparison
from catsdogs.core.errors import ConfigError
from catsdogs.core.files import require_writable, write_json
from catsdogs.evaluation.comparison import FIGURES, compare, sentence
from catsdogs.reporting.comparisonfigures import draw_gains
from catsdogs.reporting.console import figure_text, figure_title, say, table
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.sections.comparison import left_out_words
from catsdogs.workflows.answers import names_of, saved_answers

RESULT, FIGURE = "comparison.json", "comparison.png"


def compare_answers(paths: Sequence[Path], *, out: Path | None = None, seed: int = 0) -> Comparison:
    """Compare saved answers, each with the first; say what is proven and write it where that is asked for.

    Args:
        paths: Run folders, evaluation folders or ``.npz`` files of predictions; two or more.
        out: Folder for ``comparison.json`` and ``comparison.png``.
        seed: Of the bootstrap intervals.

    Raises:
        ConfigError: There are fewer than two.
        UserError: They cannot be read or compared, or the folder cannot be written.
    """
    if len(paths) < 2:
        raise ConfigError("catsdogs compare needs two or more runs: the others are compared with the first")
    names = names_of(paths)
    if out is not None:
        require_writable(out / RESULT)
    found = compare([saved_answers(path) for path in paths], names, seed=seed)
    _show(found)
    if out is not None:
        write_json(out / RESULT, found.to_dict())
        save_figure(draw_gains({o.name: o.gain for o in found.others}, names[0]), out / FIGURE)
        say(f"written to {out}: {RESULT}, {FIGURE}")
    return found


def _show(found: Comparison) -> None:
    table(
        f"{found.n:,} pictures that all have answered",
        ("model", *map(figure_title, FIGURES)),
        [(name, *(figure_text(f, own[f]) for f in FIGURES)) for name, own in found.figures.items()],
    )
    if any(found.left_out.values()):
        say(left_out_words(found))
    for other in found.others:
        say(f"{sentence(found, other)}.")
    if len(found.others) > 1:
        say("p-values are corrected for the number of models (Holm); intervals are not.")
