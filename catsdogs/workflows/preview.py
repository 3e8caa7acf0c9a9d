"""Preview: pictures beside what training would make of them, by the code that training runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from catsdogs.core.errors import ConfigError, DataError, PictureError
from catsdogs.core.files import require_writable
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.datasets import AugmentedPictures, LabelledPictures
from catsdogs.data.layouts import DataLayout
from catsdogs.data.mixing import Mixing
from catsdogs.data.stream import read_picture
from catsdogs.models.backbones import HUB, RANDOM
from catsdogs.reporting.console import say
from catsdogs.reporting.figures import save_figure
from catsdogs.reporting.sheets import Tile, draw_sheet, tile_size
from catsdogs.transfer.strategies import AUTO, find_strategy
from catsdogs.workflows.prepare import find_pictures_to_learn
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.weights import open_backbone

_TRAINED = "finetune_full"
_MOST_PICTURES, _MOST_VIEWS = 64, 16

Readable = list[tuple[ImageRecord, Image.Image]]


def preview(settings: TrainSettings, out: Path, *, pictures: int = 6, views: int = 4) -> None:
    """Draw a sheet: a row for each picture, as it is, as some epochs see it, and mixed where that is on.

    Args:
        settings: As for training; the weights are not fetched.
        out: The PNG.
        pictures: Rows; with mixing they are one batch.
        views: Epochs, from the first.

    Raises:
        UserError: The pictures, the backbone or the settings do not allow it.
    """
    for name, value, most in (("pictures", pictures, _MOST_PICTURES), ("views", views, _MOST_VIEWS)):
        if not 1 <= value <= most:
            raise ConfigError(f"--{name} must be from 1 to {most}, not {value}")
    require_writable(out)
    changes = settings.augmentation.resolved()
    name = settings.transfer.strategy
    if name == AUTO:  # what it would train with
        settings = replace(settings, transfer=replace(settings.transfer, strategy=_TRAINED))
    elif not find_strategy(name).trains_backbone:
        say(f"warning: {name} trains no backbone: its head learns from the pictures as they are")
    spec = open_backbone(settings, RANDOM if settings.model.weights == HUB else settings.model.weights).spec
    layout = find_pictures_to_learn(settings)
    found = list(islice(_readable(_in_turn(layout, settings.seed), spec), pictures))
    if not found:
        raise DataError(f"{settings.data.root}: none of the pictures can be read")
    records = tuple(record for record, _ in found)
    augmented = AugmentedPictures(
        LabelledPictures(records, tuple(range(len(records)))),
        spec,
        Augmentation(spec, changes, seed=settings.seed),
    )
    seen = [_batch(augmented, len(records), epoch) for epoch in range(views)]
    columns = [_originals(found, spec)]
    columns += [[Tile(pixels.numpy()) for pixels in batch] for batch in seen]
    headings = ["picture", *(f"epoch {epoch + 1}" for epoch in range(views))]
    if changes.mixes:
        mixing = Mixing(changes, classes=len(records), seed=settings.seed)
        columns += [_mixed(mixing, batch, epoch, records) for epoch, batch in enumerate(seen)]
        headings += [f"epoch {epoch + 1}, mixed" for epoch in range(views)]
    title = f"{settings.augmentation.preset}: {changes.summary()}"
    save_figure(draw_sheet(title, headings, list(zip(*columns, strict=True))), out)
    say(title)
    say(f"{out}: {len(records)} pictures at {spec.width_px}x{spec.height_px} px as {views} epochs see them")


def _in_turn(layout: DataLayout, seed: int) -> Iterator[ImageRecord]:
    """Yield the pictures that may be trained on, the classes in turn, in an order drawn with the seed."""
    classes: dict[str | None, list[ImageRecord]] = defaultdict(list)
    for position in np.random.default_rng(seed).permutation(len(layout.records)):
        record = layout.records[position]
        if record.split in (None, "train"):
            classes[record.label].append(record)
    for one_each in zip_longest(*(classes[name] for name in layout.class_names)):
        yield from (record for record in one_each if record is not None)


def _readable(
    records: Iterator[ImageRecord], spec: PreprocessSpec
) -> Iterator[tuple[ImageRecord, Image.Image]]:
    """Yield records with their pictures; tell which cannot be read."""
    for record in records:
        try:
            yield record, read_picture(record, at_least_px=_shown_px(spec))
        except PictureError as error:
            say(f"{record.id} is left out: {error}")


def _shown_px(spec: PreprocessSpec) -> tuple[int, int]:
    """Return the (width, height) in which the whole picture is shown."""
    height, width = tile_size(spec.height_px, spec.width_px)
    return width, height


def _batch(augmented: AugmentedPictures, count: int, epoch: int) -> Tensor:
    """Return uint8 (B, H, W, 3): all pictures as an epoch sees them."""
    return torch.stack([augmented[epoch, index][0] for index in range(count)])


def _originals(found: Readable, spec: PreprocessSpec) -> list[Tile]:
    """Return the whole pictures, scaled to fit, under their numbers, classes and names."""
    return [
        Tile(
            np.asarray(ImageOps.pad(picture, _shown_px(spec), Image.Resampling.BILINEAR, "white", (0, 0))),
            f"{number} {record.label}\n{record.name.rpartition('/')[2]}",
        )
        for number, (record, picture) in enumerate(found, start=1)
    ]


def _mixed(mixing: Mixing, batch: Tensor, epoch: int, records: Sequence[ImageRecord]) -> list[Tile]:
    """Return the pictures of one batch after mixing, under the shares of those that they come from."""
    # Each picture is a class of its own here, so the mixed labels say how much of which picture there is.
    mixed, shares = mixing(batch, torch.arange(len(batch)), epoch=epoch, step=0)
    return [Tile(pixels.numpy(), _shares(row, records)) for pixels, row in zip(mixed, shares, strict=True)]


def _shares(row: Tensor, records: Sequence[ImageRecord]) -> str:
    largest_first = sorted(enumerate(row.tolist()), key=lambda share: -share[1])
    return "\n".join(
        f"{share:.1%} {position + 1} {records[position].label}"
        for position, share in largest_first
        if share > 0
    )
