"""Commands with jobs, such as ``catsdogs tune kfold``: the first word says which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catsdogs.core.errors import ConfigError


def chosen_job(
    command: str, jobs: Mapping[str, str], arguments: Sequence[str]
) -> tuple[str, list[str]] | None:
    """Return the job that the first word names and the words that follow it.

    Args:
        command: Its name, for people.
        jobs: Name of a job -> what it does, in a sentence.
        arguments: Words of the command line behind the command.

    Returns:
        None where somebody only wanted to know the jobs, which have been printed.

    Raises:
        ConfigError: There is no such job.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, jobs))
        lines = [f"  {name:<{width}}  {summary}" for name, summary in jobs.items()]
        usage = f"usage: catsdogs {command} JOB [options]"
        print("\n".join([usage, "", *lines, "", f"catsdogs {command} JOB --help tells the options."]))
        return None
    job, *words = arguments
    if job not in jobs:
        known = f"there {'are' if len(jobs) > 1 else 'is'} {', '.join(jobs)}"
        raise ConfigError(f"catsdogs {command} {job}: {known} (see catsdogs {command} --help)")
    return job, words
