"""Predict: a row for every file of a folder, archive, list or pattern, whatever the files are.

What is answered goes into a journal first. An interrupted run leaves it, and the rows so far as a valid file;
``--resume`` goes on from there and writes the same files, byte for byte, as a run that nobody interrupted.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from catsdogs.core.errors import ConfigError, DataError
from catsdogs.core.familiarity import Familiarity
from catsdogs.core.interrupts import Terminated
from catsdogs.core.printable import printable
from catsdogs.data.inputs import ALL_NAMES, Inputs, Pictures, find_pictures
from catsdogs.data.patterns import NamePatterns
from catsdogs.inference.engines.choice import AUTO
from catsdogs.inference.journal import Journal
from catsdogs.inference.predictor import Answers, Predictor
from catsdogs.inference.writers.submission import submission_numbers
from catsdogs.models.familiar import load_familiarity
from catsdogs.models.modelcard import find_model, load_card
from catsdogs.reporting.console import progress, say, table
from catsdogs.workflows.applyoptions import DEFAULTS, ApplyOptions, open_predictor, settings_of
from catsdogs.workflows.clipping import submission_bound
from catsdogs.workflows.outputs import OutputOptions, Outputs
from catsdogs.workflows.processes import process_rank
from catsdogs.workflows.weaving import woven


def predict(
    checkpoint: Path,
    inputs: Inputs,
    outputs: OutputOptions,
    options: ApplyOptions = DEFAULTS,
    *,
    patterns: NamePatterns = ALL_NAMES,
    resume: bool = False,
) -> None:
    """Classify every file and write what was asked for; in every process but the first, only answer.

    Args:
        checkpoint: Run folder or model folder, or ``embedded``.
        inputs: As for ``find_pictures``.
        outputs: What to write.
        options: How to apply the model.
        patterns: Which files are wanted.
        resume: Go on from what an interrupted run has left, if it has left anything.

    Raises:
        UserError: The model, the input or the place for the results cannot be used.
    """
    card = load_card(checkpoint)
    class_names = card.class_names
    options.check(card)
    outputs.check()
    familiarity = load_familiarity(find_model(checkpoint))
    outputs = replace(outputs, with_unfamiliar=familiarity is not None)
    _check_unfamiliar(outputs.unfamiliar_from, familiarity)
    pictures = find_pictures(inputs, patterns).without(outputs.are)
    for problem in pictures.problems:
        say(f"warning: {problem}")
    if outputs.submission is not None:
        submission_numbers(class_names, (record.id for record in pictures))
    journals = [Journal(outputs.journal(rank, options.devices)) for rank in range(options.devices)]
    if resume:
        options = _asked_before(journals, options)
    elif not process_rank():
        for journal in journals:
            journal.path.unlink(missing_ok=True)
    with progress("predicting", len(pictures)) as advance:
        if options.devices == 1:
            keep = outputs.save_features is not None
            predictor = open_predictor(checkpoint, options, keep_features=keep)
            journals[0].begin(settings_of(checkpoint, options, predictor), resume=resume)
            answers = _answers(predictor, pictures, journals[0], advance)
        else:
            from catsdogs.workflows.sharing import answer_shared

            try:
                first = answer_shared(
                    checkpoint,
                    pictures,
                    options,
                    journals=journals,
                    resume=resume,
                    keep_features=outputs.save_features is not None,
                    advance=advance,
                )
            except (KeyboardInterrupt, Terminated):
                if not process_rank():
                    _write_what_is_there(woven(journals, pictures, len(class_names)), outputs, class_names)
                raise
            if not first:
                return
            answers = woven(journals, pictures, len(class_names))
        clip = _clip(checkpoint, outputs)
        expected = len(pictures) if options.devices > 1 else None
        written = _write(answers, outputs, class_names, expected=expected, clip=clip)
    for journal in journals:
        journal.path.unlink(missing_ok=True)
    _summarise(written, outputs)


def _check_unfamiliar(wanted: float | None, familiarity: Familiarity | None) -> None:
    """Refuse a share of familiar pictures that no picture can reach: nothing would be withheld."""
    if wanted is None:
        return
    if familiarity is None:
        raise ConfigError("--unfamiliar-from needs a model that knows strange pictures; this one does not")
    count, highest = len(familiarity.distances), familiarity.highest
    if wanted > highest:
        raise ConfigError(
            f"--unfamiliar-from {wanted:g} would withhold nothing: this model compares with {count:,} "
            f"familiar pictures and tells shares up to {highest:.3f}"
        )


def _asked_before(journals: Sequence[Journal], options: ApplyOptions) -> ApplyOptions:
    """Return the options with the interrupted run's engine and precision, where they are left open.

    Raises:
        ConfigError: What is not left open was different.
    """
    named = {"engine": options.engine, "precision": options.precision}
    for journal in journals:
        journal.require({name: value for name, value in named.items() if value != AUTO})
    before = next((settings for journal in journals if (settings := journal.settings())), {})
    return replace(
        options,
        engine=before.get("engine", AUTO) if options.engine == AUTO else options.engine,
        precision=before.get("precision", AUTO) if options.precision == AUTO else options.precision,
    )


def _answers(
    predictor: Predictor, pictures: Pictures, journal: Journal, advance: Callable[[int], None]
) -> Iterator[Answers]:
    with contextlib.closing(journal):
        for answers in journal.complete(iter(pictures), len(predictor.class_names), predictor.answers):
            yield answers
            advance(len(answers.records))


def _write(
    answers: Iterator[Answers],
    options: OutputOptions,
    class_names: tuple[str, ...],
    *,
    expected: int | None,
    clip: float,
) -> Outputs:
    """Write everything while answers arrive; the rows take their place when the last one is in them."""
    first = list(islice(answers, 1))  # a model that cannot be loaded leaves nothing behind
    outputs = Outputs(options, class_names)
    try:
        for batch in chain(first, answers):
            outputs.add(batch)
        if expected not in (None, outputs.pictures):
            raise DataError(f"{outputs.pictures} of {expected} files were answered: the input has changed")
        outputs.finish(clip)
    except BaseException as error:
        outputs.abandon()
        if isinstance(error, KeyboardInterrupt | Terminated):
            _say_interrupted(outputs, options)
        raise
    return outputs


def _write_what_is_there(
    answers: Iterator[Answers], options: OutputOptions, class_names: tuple[str, ...]
) -> None:
    outputs = Outputs(options, class_names)
    try:
        for batch in answers:
            outputs.add(batch)
    finally:
        outputs.abandon()
    _say_interrupted(outputs, options)


def _clip(checkpoint: Path, outputs: OutputOptions) -> float:
    if outputs.submission is None:
        return 0.0
    bound, why = submission_bound(checkpoint)
    say(f"submission: probabilities from {bound:.2g} to {1 - bound:.5g}, {why}")
    return bound


def _say_interrupted(outputs: Outputs, options: OutputOptions) -> None:
    if outputs.pictures:
        rows = f"{outputs.pictures:,} rows so far are in {options.partial}; --resume goes on from there"
        print(f"catsdogs: {printable(rows)}", file=sys.stderr)


def _summarise(written: Outputs, options: OutputOptions) -> None:
    unreadable = sum(written.reasons.values())
    rows = [(name, f"{count:,}") for name, count in sorted(written.counts.items())]
    rows += [(f"unreadable: {reason}", f"{count:,}") for reason, count in written.reasons.most_common()]
    say(f"{written.pictures:,} files, {written.pictures - unreadable:,} classified")
    table("", ("", ""), rows)
    places = (
        options.output,
        options.submission,
        options.sort_into,
        options.contact_sheet,
        options.save_features,
    )
    say(f"written: {', '.join(str(place) for place in places if place)}")
