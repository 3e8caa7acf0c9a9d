"""Predict: a row for every file of a folder, zip, file or list, whatever the files are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from catsdogs.core.errors import ConfigError
from catsdogs.core.files import replacing, require_writable
from catsdogs.core.predictions import UNLABELLED, Predictions
from catsdogs.data.inputs import find_pictures
from catsdogs.inference.predictor import Answers, collect
from catsdogs.inference.writers import (
    PredictionsCsv,
    reasons,
    submission_numbers,
    write_predictions,
    write_submission,
)
from catsdogs.models.modelfile import load_card
from catsdogs.reporting.console import progress, say, table
from catsdogs.workflows.applying import apply
from catsdogs.workflows.loaded import load


def predict(
    checkpoint: Path,
    inputs: str | Sequence[str],
    output: Path,
    *,
    tta: str = "none",
    submission: Path | None = None,
    precision: str = "auto",
    workers: int | None = None,
    devices: int = 1,
) -> Predictions | None:
    """Classify every file and write ``output`` (CSV) and, beside it, the logits as npz.

    Args:
        checkpoint: Run folder or model folder, or ``embedded``.
        inputs: A folder (recursive), a zip, one file, or a list of paths.
        output: Where the rows go.
        tta: The views to merge.
        submission: Where Kaggle's ``id,label`` goes, if anywhere.
        precision: ``auto``, ``fp32`` or ``bf16``.
        workers: Threads that decode pictures.
        devices: Processes or GPUs that share the pictures.

    Returns:
        The predictions; None in every process but the first.

    Raises:
        UserError: The model, the input or the place for the results cannot be used.
    """
    class_names = load_card(checkpoint).class_names
    records = find_pictures(inputs)
    if submission is not None:
        submission_numbers(class_names, (record.id for record in records))
    _require_places(output, submission)
    with progress("predicting", len(records)) as advance:
        if devices == 1:
            predictor = load(checkpoint, precision=precision, workers=workers).predictor(tta)
            predictions = _write_as_they_come(predictor.answers(records, advance), class_names, output)
        else:
            shared = apply(
                checkpoint,
                records,
                tta=tta,
                precision=precision,
                devices=devices,
                workers=workers,
                advance=advance,
            )
            if shared is None:
                return None
            predictions = shared
            write_predictions(output, predictions)
    if submission is not None:
        write_submission(submission, predictions)
    _summarise(predictions, output, submission)
    return predictions


def _require_places(output: Path, submission: Path | None) -> None:
    """Refuse places that cannot be written, and two results in one place."""
    places = [output, output.with_suffix(".npz"), *([submission] if submission else [])]
    if len({place.absolute() for place in places}) < len(places):
        raise ConfigError(f"rows, logits ({places[1]}) and submission need a file each; choose other names")
    for place in places:
        require_writable(place)


def _write_as_they_come(answers: Iterable[Answers], class_names: Sequence[str], output: Path) -> Predictions:
    """Write rows while answers arrive; the file takes its place when the last one is in it."""
    with replacing(output) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        rows = PredictionsCsv(stream, class_names, with_labels=False)

        def written() -> Iterator[Answers]:
            for answer in answers:
                ids = [record.id for record in answer.records]
                rows.write(ids, answer.logits, [UNLABELLED] * len(ids), answer.errors)
                yield answer

        predictions = collect(written(), class_names)
    predictions.save(output.with_suffix(".npz"))
    return predictions


def _summarise(predictions: Predictions, output: Path, submission: Path | None) -> None:
    readable = predictions.readable
    called = predictions.predicted[readable]
    rows = [(name, f"{int((called == index).sum()):,}") for index, name in enumerate(predictions.class_names)]
    rows += [(f"unreadable: {reason}", f"{count:,}") for reason, count in reasons(predictions).most_common()]
    say(f"{len(predictions):,} files, {int(readable.sum()):,} classified")
    table("", ("", ""), rows)
    say(f"written: {output}" + (f", {submission}" if submission else ""))
