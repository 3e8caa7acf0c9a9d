"""A backbone, and what it says about the pictures to learn from at every stage, measured once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from catsdogs.core.errors import DataError
from catsdogs.core.files import replacing
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.splits import unit_names
from catsdogs.models.backbones import RANDOM, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.initialization import initialize
from catsdogs.models.networkspec import NetworkSpec
from catsdogs.models.stages import find_stages
from catsdogs.models.trial import fastest_execution
from catsdogs.reporting.console import progress
from catsdogs.transfer.cache import FeatureCache
from catsdogs.transfer.features import extract_features, feature_space
from catsdogs.transfer.labelled import Study
from catsdogs.workflows.extraction import open_extractor
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.weights import open_backbone


@dataclass(frozen=True)
class Base:
    """What every strategy builds on.

    Attributes:
        name: timm's name of the backbone.
        backbone: With the weights that the settings name.
        spec: How it wants its pictures.
        execution: How this machine runs it.
        class_names: C of them.
        training_pictures: How many there are for gradient epochs.
        network: What a ``catsdogs_cnn`` is made of.
        embedded: Whether it has learned what the embedded model has.
        deterministic: Whether no trial may decide what computes.
    """

    name: str
    backbone: nn.Module
    spec: PreprocessSpec
    execution: Execution
    class_names: tuple[str, ...]
    training_pictures: int
    network: NetworkSpec | None = None
    embedded: bool = False
    deterministic: bool = False

    @property
    def architecture(self) -> str:
        """What turns weights into a function: two backbones may share the weights and not this."""
        return self.name if self.network is None else f"{self.name} {self.network.to_dict()}"


def open_base(
    settings: TrainSettings, class_names: tuple[str, ...], *, training_pictures: int, weights: str
) -> Base:
    """Create the backbone with these weights and find out how this machine runs it.

    Raises:
        UserError: The backbone or its weights cannot be had.
    """
    torch.manual_seed(settings.seed)
    model = settings.model
    opened = open_backbone(settings, weights)
    backbone, spec = opened.backbone, opened.spec
    # A network is fresh as its own authors wanted it; catsdogs_cnn by its activation.
    if weights == RANDOM and model.initialization != "auto":
        initialize(backbone, model.initialization, model.activation)
    # A trial's answer may differ between two runs; a deterministic one takes the defaults.
    deterministic = bool(settings.trainer.get("deterministic"))
    precision = "fp32" if deterministic else "auto"
    head = build_head(feature_width(backbone), len(class_names), HeadSpec())
    classifier = ImageClassifier(backbone, head, spec)
    execution = fastest_execution(classifier, spec, opened.name, precision=precision)
    return Base(
        opened.name,
        backbone,
        spec,
        execution,
        class_names,
        training_pictures,
        opened.network,
        opened.embedded,
        deterministic,
    )


def study(
    base: Base, records: Sequence[ImageRecord], ties: Mapping[str, str], *, seed: int, workers: int
) -> Study:
    """Extract the features of labelled pictures at every stage, or take them from the cache.

    Args:
        base: Whose backbone.
        records: The pictures to learn from; never the test's.
        ties: Id -> key, for pictures with duplicates.
        seed: Of the folds.
        workers: Decoding threads.

    Raises:
        UserError: The pictures cannot be read any more.
    """
    stages = find_stages(base.backbone, base.spec)
    extractor = open_extractor(
        base.backbone,
        base.name,
        base.spec,
        stages,
        base.execution,
        pictures=0 if base.deterministic else len(records),
        network=base.network,
    )
    with progress("features", len(records)) as advance:
        features = extract_features(
            extractor,
            records,
            base.spec,
            stages,
            space=feature_space(base.backbone, base.architecture, base.spec, extractor),
            cache=FeatureCache(),
            workers=workers,
            advance=advance,
        )
    number = {name: index for index, name in enumerate(base.class_names)}
    labels = np.array([number[record.label or ""] for record in features.records])
    units = tuple(unit_names(features.records, ties))
    return Study(len(base.class_names), features, labels, units, seed)


def write_features(path: Path, study: Study, stages: Sequence[str]) -> None:
    """Write what ``read_features`` reads: rows and classes of the training and the validation pictures."""
    arrays: dict[str, Any] = {}
    for split in ("train", "val"):
        part = study.of_split(split)
        arrays |= {f"{split}_rows": part.features.of(stages), f"{split}_labels": part.labels}
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)


def read_features(path: Path, split: str) -> tuple[Tensor, list[int]]:
    """Return the rows float32 (N, D) and the classes of one split.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return torch.from_numpy(arrays[f"{split}_rows"]), arrays[f"{split}_labels"].tolist()
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
