"""Features: what a frozen backbone says about pictures at every stage, computed once and kept by content."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

from catsdogs.core.computation import TORCH, Computation
from catsdogs.core.errors import DataError, ModelError, PictureError
from catsdogs.core.ordered import ordered_map
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.decode import DecodeLimits
from catsdogs.data.stores import open_store
from catsdogs.data.stream import Batch, batches
from catsdogs.data.views import VIEWS
from catsdogs.models.registry import timm_version
from catsdogs.models.stages import Stage
from catsdogs.transfer.cache import FeatureCache, space_key

# Raise it whenever the same picture and weights give other numbers than before.
FEATURES_VERSION = 3
_VIEW = "none"
_ROWS_A_WRITE = 512

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.float32]


class Extractor(Computation, Protocol):
    """What turns pictures into features: ``models.execution.Runner``, or a converted network."""

    @property
    def device(self) -> str:
        """Torch's name of where it computes."""
        ...

    def feature_stream(self, batches: Iterable[Pixels]) -> Iterator[Rows]:
        """Turn batches uint8 (N, H, W, 3) into features float32 (N, D), one after the other."""
        ...


@dataclass(frozen=True)
class Features:
    """Features of N readable pictures at every stage, of the plain evaluation view.

    Attributes:
        records: Length N.
        stages: From the input to the top.
        values: Float32 (N, sum of the stages' widths), in the order of the stages.
    """

    records: tuple[ImageRecord, ...]
    stages: tuple[Stage, ...]
    values: Rows

    def of(self, names: Sequence[str]) -> Rows:
        """Return the features (N, D) of these stages side by side, in the order of the network."""
        ends = np.cumsum([stage.width for stage in self.stages])
        parts = [
            self.values[:, end - stage.width : end]
            for stage, end in zip(self.stages, ends, strict=True)
            if stage.name in names
        ]
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]

    def take(self, positions: npt.NDArray[np.int64]) -> Features:
        """Return the features of some of the pictures."""
        return Features(tuple(self.records[i] for i in positions), self.stages, self.values[positions])


def feature_space(backbone: nn.Module, name: str, spec: PreprocessSpec, extractor: Extractor) -> str:
    """Return a key that two feature rows share only where they are comparable number by number.

    It holds architecture, weights, preprocessing, view, engine, precision, device and versions.
    """
    digest = hashlib.sha256()
    for key, tensor in backbone.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    engine = "" if extractor.name == TORCH else f"{extractor.name} "
    return space_key(
        version=FEATURES_VERSION,
        backbone=name,
        weights=digest.hexdigest(),
        preprocess=spec.to_dict(),
        view=_VIEW,
        precision=f"{engine}{extractor.precision}",
        device=extractor.device.partition(":")[0],
        timm=timm_version(),
    )


def extract_features(
    extractor: Extractor,
    records: Sequence[ImageRecord],
    spec: PreprocessSpec,
    stages: tuple[Stage, ...],
    *,
    space: str,
    cache: FeatureCache,
    workers: int,
    advance: Callable[[int], None],
) -> Features:
    """Run the backbone once over the pictures that the cache does not know.

    Pictures that cannot be read any more are left out.

    Args:
        extractor: Of the features of all ``stages``.
        records: Whose pictures.
        spec: How the backbone wants them.
        stages: What the extractor gives.
        space: Of ``feature_space``.
        cache: Where rows are looked up and kept.
        workers: Decoding threads.
        advance: Called with the number of pictures that are done since the last call.

    Raises:
        DataError: None of them can be read.
        ModelError: The backbone gives numbers that are not finite.
    """
    width = sum(stage.width for stage in stages)
    contents = list(_digests(records, workers))
    rows = {
        content: row
        for content, row in cache.read(space, [one for one in contents if one]).items()
        if row.shape == (width,)
    }
    missing = {
        record.id: content
        for record, content in zip(records, contents, strict=True)
        if content is not None and content not in rows
    }
    advance(len(records) - len(missing))
    wanted = [record for record in records if record.id in missing]
    fresh: dict[bytes, Rows] = {}
    for record, row in _computed(extractor, wanted, spec, workers, advance):
        fresh[missing[record.id]] = row
        if len(fresh) == _ROWS_A_WRITE:
            cache.write(space, fresh)
            rows |= fresh
            fresh = {}
    cache.write(space, fresh)
    rows |= fresh
    kept = [(r, rows[c]) for r, c in zip(records, contents, strict=True) if c is not None and c in rows]
    if not kept:
        raise DataError(f"none of the {len(records)} pictures can be read any more")
    return Features(tuple(record for record, _ in kept), stages, np.stack([row for _, row in kept]))


def _computed(
    extractor: Extractor,
    records: Sequence[ImageRecord],
    spec: PreprocessSpec,
    workers: int,
    advance: Callable[[int], None],
) -> Iterator[tuple[ImageRecord, Rows]]:
    if not records:
        return
    size = extractor.batch_size
    waiting: deque[Batch] = deque()

    def pixels() -> Iterator[Pixels]:
        for batch in batches(records, spec=spec, views=VIEWS[_VIEW], batch_size=size, workers=workers):
            if len(batch.good):
                waiting.append(batch)
                yield batch.pixels[:, 0]
            else:
                advance(len(batch.records))

    for rows in extractor.feature_stream(pixels()):
        if not np.isfinite(rows).all():
            raise ModelError("the backbone gives features that are not finite: its weights are damaged")
        batch = waiting.popleft()
        yield from zip((batch.records[position] for position in batch.good), rows, strict=True)
        advance(len(batch.records))


def _digests(records: Sequence[ImageRecord], workers: int) -> Iterator[bytes | None]:
    """Yield the SHA-256 of each picture's bytes; None where they cannot be read."""
    limit = DecodeLimits().max_bytes

    def digest(record: ImageRecord) -> bytes | None:
        try:
            return hashlib.sha256(open_store(record.root).read(record.name, limit)).digest()
        except PictureError:
            return None

    yield from ordered_map(digest, records, workers=workers)
