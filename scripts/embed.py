#!/usr/bin/env python
"""How the model that the package carries is made; docs/embedded.md has the whole recipe.

scripts/embed.py manifest --archive kagglecatsanddogs.zip --unseen train.zip --out photos.csv
scripts/train.py ...                                                    (see docs/embedded.md)
scripts/embed.py pack --run runs/embedded --input_size 160
"""

from __future__ import annotations

import argparse
import csv
import random
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from catsdogs.core.records import ImageRecord
from catsdogs.core.temperature import fit_temperature
from catsdogs.data.inspection import inspect
from catsdogs.data.seen import SeenPictures
from catsdogs.data.splits import read_split
from catsdogs.models.backbones import fit_to_input
from catsdogs.models.embedded import SEEN, embedded_folder
from catsdogs.models.modelcard import TENSORS, load_card
from catsdogs.models.modelfile import load_model, save_familiarity, save_model, save_temperature
from catsdogs.reporting.console import progress, say
from catsdogs.workflows.familiarity import familiar_to_model, look


def write_manifest(archive: Path, unseen: Path, out: Path, *, val: int, seed: int) -> None:
    """List the photos of the public archive but those of Kaggle's ``train.zip``; these are the test.

    ``PetImages/Cat/7.jpg`` there is ``train/cat.7.jpg`` here.
    """
    kept_apart = [name for name in names_in(unseen) if name.endswith(".jpg")]
    their_names = {PurePosixPath(name).stem for name in kept_apart}
    rows = []
    for name in names_in(archive):
        place = PurePosixPath(name)
        label = place.parent.name.lower()
        if place.suffix == ".jpg" and f"{label}.{place.stem}" not in their_names:
            rows.append((f"{archive}/{name}", label))
    random.Random(seed).shuffle(rows)  # noqa: S311
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label", "split"))
        writer.writerows((*row, "val" if place < val else "train") for place, row in enumerate(rows))
        tests = sorted(kept_apart)
        writer.writerows((f"{unseen}/{name}", PurePosixPath(name).name[:3], "test") for name in tests)
    say(f"{len(rows):,} photos to learn from and {len(kept_apart):,} to judge by: {out}")


def names_in(archive: Path) -> list[str]:
    """Return the names of what a zip holds, in its order."""
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


def pack(run: Path, out: Path, input_size: int | None) -> None:
    """Write the run's model in half precision, calibrated at its size, and what it has seen and knows."""
    classifier, card = load_model(run)
    spec = card.preprocess
    if input_size is not None:
        spec = replace(spec, height_px=input_size, width_px=input_size)
        fit_to_input(classifier.backbone, spec)
    learned = [record for record in read_split(run / "split.csv") if record.split != "test"]
    with progress("remembering", len(learned)) as advance:
        found = inspect(learned, workers=2, advance=advance, cache=True)
    readable = [inspection.thumbnail for inspection in found if inspection.reason is None]
    out.mkdir(parents=True, exist_ok=True)
    SeenPictures.of(np.stack(readable)).save(out / SEEN)
    save_model(out, classifier, replace(card, preprocess=spec, embedded=True), half=True)
    _learn_from_held_out(out, learned)
    say(f"{out}: {(out / TENSORS).stat().st_size / 1e6:.2f} MB, {len(readable):,} photos remembered")


def _learn_from_held_out(model: Path, records: list[ImageRecord]) -> None:
    """Fit the temperature on the validation pictures, and learn what is familiar at this size."""
    training, held_out = ([one for one in records if one.split == split] for split in ("train", "val"))
    said, features = look(model, held_out, "validation")
    scored = said.scorable()
    save_temperature(model, fit_temperature(scored.logits * load_card(model).temperature, scored.labels))
    familiarity = familiar_to_model(model, training, features)
    if familiarity is None:
        raise SystemExit(f"{len(features)} validation pictures are too few to know strange ones by")
    save_familiarity(model, familiarity)


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    manifest = steps.add_parser("manifest", help=write_manifest.__doc__)
    manifest.add_argument("--archive", type=Path, required=True)
    manifest.add_argument("--unseen", type=Path, required=True)
    manifest.add_argument("--out", type=Path, required=True)
    manifest.add_argument("--val", type=int, default=500)
    manifest.add_argument("--seed", type=int, default=0)
    packing = steps.add_parser("pack", help=pack.__doc__)
    packing.add_argument("--run", type=Path, required=True)
    packing.add_argument("--out", type=Path, default=embedded_folder())
    packing.add_argument("--input_size", type=int, default=None)
    options = parser.parse_args()
    if options.step == "manifest":
        write_manifest(options.archive, options.unseen, options.out, val=options.val, seed=options.seed)
    else:
        pack(options.run, options.out, options.input_size)


if __name__ == "__main__":
    main()
