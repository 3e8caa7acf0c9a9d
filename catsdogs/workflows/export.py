"""Export: a model as a file that others run without catsdogs, once it is shown to answer as torch does."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from catsdogs.core.errors import ConfigError, DataError, ModelError
from catsdogs.core.files import replacing, require_writable, write_json
from catsdogs.core.records import ImageRecord
from catsdogs.data.inputs import find_pictures
from catsdogs.data.splits import read_split
from catsdogs.inference.exporting.formats import Format, find_format
from catsdogs.inference.exporting.parity import Parity, measure, ten_views
from catsdogs.models.deployment import INPUT, OUTPUTS, DeployedClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import load_model
from catsdogs.reporting.console import say, table
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.workers import decoding_workers


def export(
    checkpoint: Path,
    out: Path,
    *,
    format_name: str,
    precision: str = "fp32",
    input_path: str | None = None,
    pictures: int = 64,
) -> Parity:
    """Write a model in another format, and beside it how far that is from torch.

    Args:
        checkpoint: Run folder or model folder, or ``embedded``.
        out: The file, or a folder for it. OpenVINO's has a second one beside it, ``.bin``.
        format_name: ``onnx``, ``openvino`` or ``torch-export``.
        precision: Of the numbers in the file.
        input_path: Pictures to compare on; by default those of the run that it was not trained on.
        pictures: How many of them at most.

    Returns:
        What was measured.

    Raises:
        ModelError: The model cannot be exported, or the file does not answer as torch does; none is left.
        UserError: An option, the pictures or the place cannot be used.
    """
    chosen = find_format(format_name, precision)
    _require_packages(chosen, format_name)
    target = _target(out, chosen)
    report = target.with_suffix(".parity.json")
    require_writable(target)
    classifier, card = load_model(checkpoint)
    if pictures < 1:
        raise ConfigError(f"--pictures must be 1 or more, not {pictures}")
    records = _spread(_records(checkpoint, input_path), pictures)
    pixels = ten_views(records, card, workers=decoding_workers())
    if not len(pixels):
        raise DataError(f"none of the {len(records)} pictures to compare on can be read")
    reference = Runner(classifier, Execution())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, target.name)
        words = _words(card, precision)
        graph = chosen.build(DeployedClassifier(classifier, card.temperature), precision)
        chosen.save(graph, path, words)
        parity = measure(chosen.open(path), reference, pixels, card, precision=precision)
        _show(parity, format_name)
        if not parity.holds:
            raise ModelError(f"this model was not exported to {format_name}: {parity.complaint}")
        # The same graph once more, now that there is something to say about it.
        chosen.save(graph, path, words | {"parity": json.dumps(parity.to_dict())})
        for written in sorted(Path(folder).iterdir()):
            with replacing(target.with_name(written.name)) as temporary:
                shutil.copyfile(written, temporary)
    write_json(report, {"file": target.name, "format": format_name, **parity.to_dict()})
    say(f"written: {target}, {report.name}")
    return parity


def _require_packages(chosen: Format, name: str) -> None:
    missing = [package for package in chosen.packages if not importlib.util.find_spec(package)]
    if missing:
        raise ConfigError(f"--format {name} needs {', '.join(missing)}: pip install 'catsdogs[fast]'")


def _target(out: Path, chosen: Format) -> Path:
    if out.suffix == chosen.suffix and not out.is_dir():
        return out
    if out.suffix and not out.is_dir():
        raise ConfigError(f"{out}: a file of this format ends in {chosen.suffix}")
    return out / f"model{chosen.suffix}"


def _records(checkpoint: Path, input_path: str | None) -> tuple[ImageRecord, ...]:
    """Return the pictures to compare on: those given, or the run's own test or val pictures."""
    if input_path is not None:
        return tuple(find_pictures(input_path))
    run = RunFolder(checkpoint)
    held_out = read_split(run.split) if run.split.is_file() else ()
    for split in ("test", "val"):
        found = tuple(record for record in held_out if record.split == split)
        if found:
            return found
    raise ConfigError(f"{checkpoint} has no pictures of its own to compare on: give some with --input")


def _spread(records: Sequence[ImageRecord], count: int) -> list[ImageRecord]:
    """Return so many records from the first to the last: a split lies in the order of its classes."""
    places = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return [records[place] for place in places]


def _words(card: ModelCard, precision: str) -> dict[str, str]:
    """Return what the file says about itself; whoever runs it needs no other source."""
    return {
        "made_by": "catsdogs",
        "backbone": card.backbone,
        "class_names": json.dumps(list(card.class_names)),
        "preprocess": json.dumps(card.preprocess.to_dict()),
        "temperature": repr(card.temperature),
        "precision": precision,
        "torch": importlib.metadata.version("torch"),
        "input": f"{INPUT}: uint8 (N, height, width, 3), RGB, resized and cropped; normalisation is inside",
        "outputs": f"{OUTPUTS[0]}: before temperature; {OUTPUTS[1]}: softmax of logits / temperature; "
        f"{OUTPUTS[2]}: what the head was given",
    }


def _show(parity: Parity, format_name: str) -> None:
    table(
        f"{format_name}, {parity.precision}, against torch fp32 on {parity.pictures:,} pictures",
        ("views", "largest difference of a probability", "same label"),
        [
            (name, f"{difference:.2g}", f"{parity.agreements[name]:.2%}")
            for name, difference in parity.differences.items()
        ],
    )
