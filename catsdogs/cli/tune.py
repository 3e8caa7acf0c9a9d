"""``catsdogs tune kfold | seeds | compare | search``."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.jobs import chosen_job
from catsdogs.cli.parsing import OneLineParser, command_parser
from catsdogs.cli.trainoptions import add_train_options, settings_of
from catsdogs.core.errors import ConfigError
from catsdogs.core.interrupts import Terminated
from catsdogs.core.nesting import nested
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.tuning.searchspace import DIMENSIONS, STRATEGIES_TRIED

_JOBS = {
    "kfold": "Cross-validate: train and judge as many runs as folds, each picture held out once.",
    "seeds": "Repeat a training with several seeds on the same split, and show how far they spread.",
    "compare": "Train with and without a change, over several seeds, and show what it brings.",
    "search": "Search for better settings; the result is a config file for catsdogs train.",
}
_FEWEST_TRIALS = 2


def run(arguments: list[str]) -> None:
    """Parse the command line and do one of the jobs."""
    if (chosen := chosen_job("tune", _JOBS, arguments)) is None:
        return
    job, words = chosen
    values = _parser(job, words).parse_args(words).as_dict()
    path, settings, options = _asked(job, words, values)
    tune_allocator()
    try:
        _job(job)(settings, path, **options)
    except (KeyboardInterrupt, Terminated):
        print(f"\ngo on with: catsdogs tune {job} --resume {path}", flush=True)
        raise


def _job(name: str) -> Callable[..., None]:
    if name == "kfold":
        from catsdogs.workflows.tuning.kfold import cross_validate

        return cross_validate
    if name == "seeds":
        from catsdogs.workflows.tuning.seeds import repeat_with_seeds

        return repeat_with_seeds
    if name == "compare":
        from catsdogs.workflows.tuning.compare import compare

        return compare
    from catsdogs.workflows.tuning.search import search

    return search


def _asked(job: str, words: list[str], values: dict[str, Any]) -> tuple[Path, TrainSettings, dict[str, Any]]:
    """Return the folder, the settings and the options of the job."""
    if values["resume"] is None:
        path = Path(values["run"] or f"runs/{job}-{time.strftime('%Y%m%d-%H%M%S')}")
        settings, options = settings_of(values), _options(job, values)
        if job == "compare":
            options["changed"] = _changed(job, words, values["change"])
        return path, settings, options
    free = ("--resume", "--minutes", "--trials")
    others = [word for word in words if word.startswith("--") and word.partition("=")[0] not in free]
    if others:
        raise ConfigError(f"--resume takes what was started as it was; leave out {', '.join(others)}")
    from catsdogs.workflows.tuning.members import Members

    path = Path(values["resume"])
    order = Members(path).read_order()
    if order.job != job:
        raise ConfigError(f"{path} was started by catsdogs tune {order.job}; go on with that")
    if job == "compare":
        return path, order.settings, _restored(order.options)
    given = {word.partition("=")[0].removeprefix("--") for word in words}
    changed = {name: value for name, value in _options(job, values).items() if name in given}
    return path, order.settings, {**order.options, **changed}


def _options(job: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the job alone."""
    if job == "kfold":
        return {"folds": values["folds"], "include_test": values["include_test"]}
    if job == "seeds":
        return {"seeds": _seeds(values)}
    if job == "compare":
        return {"seeds": _seeds(values), "change": values["change"]}
    minutes, trials = values["minutes"], values["trials"]
    if not minutes > 0:
        raise ConfigError(f"--minutes must be more than 0, not {minutes:g}")
    if trials < _FEWEST_TRIALS:
        raise ConfigError(f"--trials must be {_FEWEST_TRIALS} or more, not {trials}: the first is yours")
    names = {name: _names(values[name]) for name in ("space", "strategies")}
    return {"minutes": minutes, "trials": trials, **names}


def _changed(job: str, words: list[str], change: str | None) -> TrainSettings:
    """Return the settings of the same command line with the change behind it."""
    try:
        more = shlex.split(change or "")
    except ValueError as error:
        raise ConfigError(f"--change {change!r}: {str(error).lower()}") from None
    if not more:
        raise ConfigError("--change needs the options that change, such as --change '--model.weights none'")
    return settings_of(_parser(job, [*words, *more]).parse_args([*words, *more]).as_dict())


def _restored(options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, "changed": nested(TrainSettings, options["changed"])}


def _seeds(values: dict[str, Any]) -> list[int]:
    if values["seeds"] is None:
        return list(range(values["seed"], values["seed"] + values["count"]))
    try:
        return [int(part) for part in values["seeds"].split(",")]
    except ValueError:
        raise ConfigError(
            f"--seeds takes whole numbers with commas between them, not {values['seeds']!r}"
        ) from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _parser(job: str, words: list[str]) -> OneLineParser:
    parser = command_parser(f"tune {job}", _JOBS[job])
    parser.add_argument(
        "--run", type=str | None, default=None, help=f"Folder of it all (default: runs/{job}-<time>)."
    )
    parser.add_argument(
        "--resume", type=str | None, default=None, help="Folder to go on in; the same command does so too."
    )
    {"kfold": _add_kfold, "seeds": _add_seeds, "compare": _add_compare, "search": _add_search}[job](parser)
    add_train_options(parser, words)
    return parser


def _add_kfold(parser: OneLineParser) -> None:
    parser.add_argument("--folds", type=int, default=5, help="How many.")
    parser.add_argument(
        "--include_test",
        type=bool,
        default=False,
        help="Make the folds of all pictures; by default those that a run of these settings would be tested "
        "on stay aside.",
    )


def _add_seeds(parser: OneLineParser) -> None:
    parser.add_argument(
        "--seeds", type=str | None, default=None, help="Such as 0,1,2; --seed alone draws the split."
    )
    parser.add_argument(
        "--count", type=int, default=3, help="In place of --seeds: so many, from --seed upwards."
    )


def _add_compare(parser: OneLineParser) -> None:
    parser.add_argument(
        "--change",
        type=str | None,
        default=None,
        help="The options of the other runs in one quoted word, such as '--model.weights none'.",
    )
    parser.add_argument(
        "--seeds", type=str | None, default=None, help="Such as 0,1,2; each draws its own split."
    )
    parser.add_argument(
        "--count", type=int, default=5, help="In place of --seeds: so many, from --seed upwards."
    )


def _add_search(parser: OneLineParser) -> None:
    parser.add_argument(
        "--minutes",
        type=float,
        default=10.0,
        help="For all trials together, those before a --resume included; one that runs then is broken off.",
    )
    parser.add_argument(
        "--trials", type=int, default=100, help="At most; the first has the settings as given."
    )
    parser.add_argument(
        "--space",
        type=str,
        default=",".join(DIMENSIONS),
        help="What is searched. An option that you set to another value than its default stays as it is.",
    )
    parser.add_argument(
        "--strategies", type=str, default=",".join(STRATEGIES_TRIED), help="Which ones 'strategy' tries."
    )
