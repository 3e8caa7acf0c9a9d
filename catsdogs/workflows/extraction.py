"""What computes features in training: torch, or for many pictures the engine that predicts the fastest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import nn

from catsdogs.core.computation import TORCH
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.inference.engines.choice import open_engine
from catsdogs.inference.engines.engine import Engine, Pixels, Rows
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model
from catsdogs.models.networkspec import NetworkSpec
from catsdogs.models.stages import Stage
from catsdogs.reporting.console import say
from catsdogs.transfer.features import Extractor

# A backbone is converted once, in the time in which torch looks at so many pictures.
WORTH_CONVERTING = 500
# Nobody asks for these answers; that they agree with torch's tells that the features do.
_ANSWERS = ("this", "that")


class ConvertedExtractor:
    """An engine that predicts, asked for features alone."""

    device = "cpu"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.precision, self.batch_size = engine.name, engine.precision, engine.batch_size

    def feature_stream(self, batches: Iterable[Pixels]) -> Iterator[Rows]:
        """Turn batches uint8 (N, H, W, 3) into features float32 (N, D), one after the other."""
        for rows in self._engine.stream(batches, features=True):
            yield rows[:, len(_ANSWERS) :]


def open_extractor(
    backbone: nn.Module,
    name: str,
    spec: PreprocessSpec,
    stages: tuple[Stage, ...],
    execution: Execution,
    *,
    pictures: int,
    network: NetworkSpec | None = None,
) -> Extractor:
    """Return what turns pictures into the features of these stages.

    For many pictures that is the engine that prediction would take; what it computes differs in the last
    digits from what torch does.

    Args:
        backbone: With its weights; it is not changed.
        name: timm's, of the backbone.
        spec: How it wants its pictures.
        stages: From the input to the top.
        execution: How torch runs it on this machine.
        pictures: How many there are; 0 where torch is wanted.
        network: What a ``catsdogs_cnn`` is made of.
    """
    head_spec = HeadSpec()
    head = build_head(sum(stage.width for stage in stages), len(_ANSWERS), head_spec)
    names = tuple(stage.name for stage in stages)
    classifier = ImageClassifier(backbone, head, spec, names)
    if pictures >= WORTH_CONVERTING and execution.device == "cpu":
        _fill(head)
        card = ModelCard(name, _ANSWERS, spec, head_spec, names, network=network)
        with tempfile.TemporaryDirectory(prefix="catsdogs-") as folder:
            save_model(Path(folder), classifier, card)
            engine = open_engine(Path(folder), card, say=say)
        if engine.name != TORCH:
            return ConvertedExtractor(engine)
    return Runner(classifier, execution)


def _fill(head: nn.Module) -> None:
    """Fill a head with numbers that are always the same: a backbone is converted once, not once a run."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
