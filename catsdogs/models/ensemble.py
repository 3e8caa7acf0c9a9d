"""EnsembleClassifier: several classifiers that look at the same picture, and vote, as one network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from catsdogs.core.voting import MAJORITY, Vote
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.fitting import Fit
from catsdogs.models.heads import features_of
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.stages import stage_features


class VotingHead(nn.Sequential):
    """The heads of M members and their vote: features of all (B, sum of D) to log probabilities (B, C).

    Each member's logits are divided by its own temperature first. ``core.voting`` is the same in numpy, which
    the tests hold it to.

    Attributes:
        vote: How the members' answers are merged.
    """

    weights: Tensor

    def __init__(self, heads: Sequence[nn.Module], temperatures: Sequence[float], vote: Vote) -> None:
        super().__init__(*heads)
        self.vote = vote
        self._temperatures = tuple(temperatures)
        self._widths = [features_of(head) for head in heads]
        # They follow from the card, which the model file holds already.
        self.register_buffer("weights", torch.tensor(vote.weights).view(-1, 1, 1), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Turn the features of all members, side by side, into log probabilities."""
        parts = torch.split(features, self._widths, dim=1)
        logs = torch.stack(
            [
                torch.log_softmax(head(part) / temperature, dim=1)
                for head, part, temperature in zip(self, parts, self._temperatures, strict=True)
            ]
        )
        weighted = logs + self.weights.log()
        peaks = weighted.amax(dim=0)
        # Written out: OpenVINO (2026.4) cannot read torch's own logsumexp over the first dimension.
        mean = peaks + (weighted - peaks).exp().sum(dim=0).log()
        return self._majority(logs, mean) if self.vote.kind == MAJORITY else mean

    def _majority(self, logs: Tensor, mean: Tensor) -> Tensor:
        called = torch.eye(logs.shape[2], device=logs.device)[logs.argmax(dim=2)]
        votes = (self.weights * called).sum(dim=0)
        smoothing = self.vote.smoothing
        voted = torch.log(((1 - smoothing) * votes + smoothing * mean.exp()).clamp(min=1e-30))
        return torch.where(votes > 0, voted, math.log(smoothing) + mean)


class EnsembleClassifier(ImageClassifier):
    """Members as one classifier; its features are those of all of them, side by side.

    Each member is given the pictures as it wants them: ``models.fitting``.

    Attributes:
        backbone: An ``nn.ModuleList`` with the member's backbones.
        head: A ``VotingHead``.
    """

    def __init__(self, members: Sequence[ImageClassifier], card: ModelCard) -> None:
        """Put classifiers together.

        Args:
            members: In the order of ``card.members``; their modules are taken, not copied.
            card: Of the ensemble.
        """
        assert card.vote is not None
        temperatures = [member.temperature for member in card.members]
        head = VotingHead([member.head for member in members], temperatures, card.vote)
        backbones = nn.ModuleList(member.backbone for member in members)
        super().__init__(backbones, head, card.preprocess)
        self._places = [member.stages for member in members]
        wanted = [member.preprocess for member in card.members]
        specs = list(dict.fromkeys(wanted))
        self.fits = nn.ModuleList(Fit(card.preprocess, spec) for spec in specs)
        self._fit_of = [specs.index(spec) for spec in wanted]

    def features(self, pixels: Tensor) -> Tensor:
        """Turn uint8 (B, H, W, 3) into the float32 features of all members, (B, sum of D)."""
        assert isinstance(self.backbone, nn.ModuleList)
        planes = pixels.permute(0, 3, 1, 2).to(self.scale.dtype)
        dtype = self.input_dtype or planes.dtype
        fitted = [fit(planes).to(dtype, memory_format=self._memory_format) for fit in self.fits]
        found = [
            stage_features(backbone, fitted[place], stages)
            for backbone, place, stages in zip(self.backbone, self._fit_of, self._places, strict=True)
        ]
        features = torch.cat(found, dim=1)
        return features if self.feature_shift is None else features - self.feature_shift
