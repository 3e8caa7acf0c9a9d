"""Predict: a row for every file of a folder, archive, list or pattern, whatever the files are.

What is answered goes into a journal first. An interrupted run leaves it, and the rows so far as a valid file;
``--resume`` goes on from there and writes the same files, byte for byte, as a run that nobody interrupted.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from catsdogs.core.errors import ConfigError
from catsdogs.core.interrupts import Terminated
from catsdogs.core.printable import printable
from catsdogs.core.records import ImageRecord
from catsdogs.data.inputs import ALL_NAMES, Inputs, Pictures, find_pictures
from catsdogs.data.patterns import NamePatterns
from catsdogs.data.views import parse_views
from catsdogs.inference.journal import Journal
from catsdogs.inference.predictor import Answers, merging
from catsdogs.inference.writers.submission import submission_numbers
from catsdogs.models.modelcard import CARD, find_model, load_card
from catsdogs.reporting.console import progress, say, table
from catsdogs.workflows.applying import say_engine
from catsdogs.workflows.clipping import submission_bound
from catsdogs.workflows.loaded import load
from catsdogs.workflows.outputs import OutputOptions, Outputs
from catsdogs.workflows.processes import process_rank
from catsdogs.workflows.weaving import woven


@dataclass(frozen=True)
class ApplyOptions:
    """How a model is applied.

    Attributes:
        tta: The views to merge.
        merge: How, by a name of ``MERGES``; ``auto`` is the mean, weighted where the model has learned to.
        engine: ``auto``, ``torch``, ``compile``, ``onnxruntime`` or ``openvino``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        workers: Threads that decode pictures.
        devices: Processes or GPUs that share the pictures.
    """

    tta: str = "none"
    merge: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    workers: int | None = None
    devices: int = 1


def predict(
    checkpoint: Path,
    inputs: Inputs,
    outputs: OutputOptions,
    options: ApplyOptions | None = None,
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
    options = options or ApplyOptions()
    card = load_card(checkpoint)
    class_names = card.class_names
    merging(card, parse_views(options.tta, card.preprocess), options.merge)
    if options.devices < 1:
        raise ConfigError(f"--devices must be 1 or more, not {options.devices}")
    pictures = find_pictures(inputs, patterns)
    for problem in pictures.problems:
        say(f"warning: {problem}")
    if outputs.submission is not None:
        submission_numbers(class_names, (record.id for record in pictures))
    outputs.check()
    settings = _settings(checkpoint, options)
    journals = [Journal(outputs.journal(rank, options.devices), settings) for rank in range(options.devices)]
    with progress("predicting", len(pictures)) as advance:
        if options.devices == 1:
            answers = _answers(checkpoint, pictures, options, journals[0], advance, resume=resume)
        else:
            from catsdogs.workflows.sharing import answer_shared

            try:
                first = answer_shared(
                    checkpoint, pictures, options, journals=journals, resume=resume, advance=advance
                )
            except BaseException:
                if not process_rank():
                    so_far = woven(journals, pictures, len(class_names))
                    _write_what_is_there(so_far, outputs, class_names)
                raise
            if not first:
                return
            answers = woven(journals, pictures, len(class_names))
        written = _write(answers, outputs, class_names, clip=_clip(checkpoint, outputs))
    for journal in journals:
        journal.path.unlink(missing_ok=True)
    _summarise(written, outputs)


def share_of(
    journal: Journal,
    records: Iterator[ImageRecord],
    classes: int,
    answer: Callable[[Iterator[ImageRecord]], Iterator[Answers]],
) -> Iterator[Answers]:
    """Yield what the journal has answered of these records, then answer the others and note it."""
    yield from journal.replay(records, classes)
    for answers in answer(records):
        journal.append(answers)
        yield answers


def _answers(
    checkpoint: Path,
    pictures: Pictures,
    options: ApplyOptions,
    journal: Journal,
    advance: Callable[[int], None],
    *,
    resume: bool,
) -> Iterator[Answers]:
    model = load(
        checkpoint, engine=options.engine, precision=options.precision, workers=options.workers, say=say
    )
    predictor = model.predictor(options.tta, merge=options.merge)
    say_engine(predictor.engine)
    journal.begin(resume=resume)
    with contextlib.closing(journal):
        for answers in share_of(journal, iter(pictures), len(model.class_names), predictor.answers):
            yield answers
            advance(len(answers.records))


def _write(
    answers: Iterator[Answers], options: OutputOptions, class_names: tuple[str, ...], *, clip: float
) -> Outputs:
    """Write everything while answers arrive; the rows take their place when the last one is in them."""
    first = list(islice(answers, 1))  # a model that cannot be loaded leaves nothing behind
    outputs = Outputs(options, class_names)
    try:
        for batch in chain(first, answers):
            outputs.add(batch)
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


def _settings(checkpoint: Path, options: ApplyOptions) -> Mapping[str, Any]:
    """Return what a run must have in common with the one that it goes on from."""
    model = hashlib.sha256((find_model(checkpoint) / CARD).read_bytes()).hexdigest()[:16]
    return {
        "model": model,
        "tta": options.tta,
        "merge": options.merge,
        "engine": options.engine,
        "precision": options.precision,
        "devices": options.devices,
    }


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
    places = (options.output, options.submission, options.sort_into, options.contact_sheet)
    say(f"written: {', '.join(str(place) for place in places if place)}")
