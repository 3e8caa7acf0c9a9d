"""Records -> batches of uint8 and errors: decoded in parallel, in order, in memory that does not grow.

Audit, features and prediction live on this. A batch holds the same number of good pictures however many
broken files lie between them, so what the network computes for a picture does not depend on its neighbours.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from catsdogs.core.errors import PictureError
from catsdogs.core.ordered import ordered_map
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.decode import DecodeLimits
from catsdogs.data.isolation import decode_within
from catsdogs.data.preparation import Pixels
from catsdogs.data.rendering import Draw, at_least_px, render
from catsdogs.data.stores import open_store
from catsdogs.data.views import View, input_size

_DEFAULT_LIMITS = DecodeLimits()
# A batch is closed after this many records even if too few of them are good: memory stays flat.
_MOST_RECORDS = 1024
# What waits for the network may hold so many bytes of pixels, beside one picture a worker.
_MOST_WAITING_BYTES = 64 * 2**20


def read_picture(
    record: ImageRecord,
    *,
    at_least_px: tuple[int, int] | None = None,
    limits: DecodeLimits = _DEFAULT_LIMITS,
) -> Image.Image:
    """Read and decode the picture of a record; arguments and result as for ``decode_within``.

    Raises:
        PictureError: The picture cannot be read.
    """
    data = open_store(record.root).read(record.name, limits.max_bytes)
    return decode_within(data, at_least_px=at_least_px, limits=limits)


@dataclass(frozen=True)
class Batch:
    """Consecutive records, the pixels of the readable ones and the reasons of the others.

    Attributes:
        start: Position of the first record in the whole stream.
        records: Length B, in the order of the stream.
        pixels: uint8 (G, V, H, W, 3), the readable pictures only; G may be 0.
        good: int64 (G,), ascending positions within ``records`` that ``pixels`` belong to.
        errors: Position within ``records`` -> why that picture cannot be read.
    """

    start: int
    records: tuple[ImageRecord, ...]
    pixels: Pixels
    good: npt.NDArray[np.int64]
    errors: dict[int, str]


def batches(
    records: Iterable[ImageRecord],
    *,
    spec: PreprocessSpec,
    views: Sequence[View],
    batch_size: int,
    workers: int,
    draw: Draw | None = None,
) -> Iterator[Batch]:
    """Yield batches of exactly ``batch_size`` readable pictures, and the unreadable ones between them.

    Only the last batch may hold fewer, and one that closes because very many records in a row are unreadable.
    ``draw`` makes random views, where there are any.
    """
    needed = at_least_px(spec, views)

    def outcome(record: ImageRecord) -> tuple[ImageRecord, Pixels | str]:
        try:
            return record, render(read_picture(record, at_least_px=needed), spec, views, draw)
        except PictureError as error:
            return record, str(error)
        except MemoryError:
            return record, "not enough memory"

    most_records = max(_MOST_RECORDS, 8 * batch_size)
    shape = (len(views), *input_size(views, spec), 3)
    start, open_batch = 0, _OpenBatch()
    # While the network computes one batch, the next must be on its way.
    window = min(2 * batch_size + 4 * workers, workers + 1 + _MOST_WAITING_BYTES // math.prod(shape))
    with contextlib.closing(ordered_map(outcome, records, workers=workers, window=window)) as outcomes:
        for record, result in outcomes:
            open_batch.add(record, result)
            if len(open_batch.crops) == batch_size or len(open_batch.records) == most_records:
                yield open_batch.close(start, shape)
                start, open_batch = start + len(open_batch.records), _OpenBatch()
    if open_batch.records:
        yield open_batch.close(start, shape)


@dataclass
class _OpenBatch:
    """A batch that still grows."""

    records: list[ImageRecord] = field(default_factory=list)
    crops: list[Pixels] = field(default_factory=list)
    good: list[int] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)

    def add(self, record: ImageRecord, result: Pixels | str) -> None:
        position = len(self.records)
        self.records.append(record)
        if isinstance(result, str):
            self.errors[position] = result
        else:
            self.crops.append(result)
            self.good.append(position)

    def close(self, start: int, shape: tuple[int, ...]) -> Batch:
        return Batch(
            start=start,
            records=tuple(self.records),
            pixels=np.stack(self.crops) if self.crops else np.empty((0, *shape), dtype=np.uint8),
            good=np.asarray(self.good, dtype=np.int64),
            errors=self.errors,
        )
