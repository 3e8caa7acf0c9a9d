"""A file that does not answer as torch does is told from one that does, in every precision."""

from collections.abc import Callable

import numpy as np
import pytest

from catsdogs.core.predictions import softmax
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.inference.engines.engine import Pixels
from catsdogs.inference.exporting.formats import Outputs
from catsdogs.inference.exporting.parity import LABELS, Parity, measure
from catsdogs.models.modelcard import ModelCard

CARD = ModelCard("test_resnet", ("cat", "dog"), PreprocessSpec(4, 4), temperature=2.0)
SHORT = ("fp16", "bf16")


class Reference:
    """Says dog the surer the brighter a picture is."""

    name, precision, batch_size = "torch", "fp32", 5

    def stream(self, batches, *, features: bool = False):
        return (self.logits(batch) for batch in batches)

    def logits(self, pixels: Pixels) -> np.ndarray:
        bright = pixels.reshape(len(pixels), -1).mean(axis=1) / 16 - 8
        return np.stack([-bright, bright], axis=1).astype(np.float32)


def pixels(count: int = 64) -> Pixels:
    """Half of them dark, half of them bright, none in between; all ten views alike."""
    bright = np.r_[np.linspace(0, 90, count // 2), np.linspace(166, 255, count - count // 2)]
    return np.broadcast_to(bright.astype(np.uint8)[:, None, None, None, None], (count, 10, 4, 4, 3))


def judged(change: Callable[[np.ndarray, np.ndarray], Outputs], precision: str, some: Pixels) -> Parity:
    def run(batch: Pixels) -> Outputs:
        logits = Reference().logits(batch)
        return change(logits, softmax(logits / 2).astype(np.float32))

    return measure(run, Reference(), some, CARD, precision=precision)


@pytest.mark.parametrize("precision", ["fp32", *SHORT])
class TestRefused:
    def complaint(self, change, precision: str) -> str:
        return judged(change, precision, pixels()).complaint

    def test_not_what_answers_alike(self, precision: str) -> None:
        assert self.complaint(lambda logits, told: (logits, told), precision) == ""

    def test_no_numbers(self, precision: str) -> None:
        """The largest of no numbers is the first class, which is right for the half of cats."""
        nothing = np.float32("nan")
        for change in (
            lambda logits, told: (logits * nothing, told),
            lambda logits, told: (logits, told * nothing),
            lambda logits, told: (np.where(logits < -7.9, -np.inf, logits), told),
        ):
            assert self.complaint(change, precision) == "some of its answers are not numbers"

    def test_always_cat(self, precision: str) -> None:
        cat = np.float32([8, -8])
        worst = self.complaint(lambda logits, told: (logits * 0 + cat, told * 0 + [1, 0]), precision)
        assert "its probabilities differ from torch's by 1, more than" in worst

    def test_probabilities_that_do_not_follow_from_the_logits(self, precision: str) -> None:
        """A temperature that was forgotten changes no label and no logit."""
        worst = self.complaint(lambda logits, _: (logits, softmax(logits).astype(np.float32)), precision)
        assert "its probabilities differ" in worst

    def test_a_view_that_is_wrong(self, precision: str) -> None:
        places = iter(range(1000))

        def change(logits: np.ndarray, told: np.ndarray) -> Outputs:
            return (logits, told) if next(places) else (-logits, told)

        assert "its probabilities differ" in self.complaint(change, precision)


@pytest.mark.parametrize("precision", SHORT)
@pytest.mark.parametrize(("count", "flips"), [(1, 1), (64, 1), (399, 1), (400, 2)])
def test_near_ties_may_fall_but_few(precision: str, count: int, flips: int) -> None:
    def parity(fallen: int) -> Parity:
        agreements = {"none": 1 - fallen / count, "flip": 1.0, "ten": 1.0}
        return Parity(count, precision, {"none": 0.01, "flip": 0.0, "ten": 0.0}, agreements)

    assert parity(flips).holds
    if count > 1:
        assert parity(flips + 1).complaint.endswith(f"of the labels, fewer than {LABELS:.1%}")
    assert parity(flips).to_dict()["required"]["agreement"] == pytest.approx(1 - flips / count)


def test_short_numbers_may_differ_by_more_but_not_by_much() -> None:
    def change(logits: np.ndarray, told: np.ndarray) -> Outputs:
        return logits, np.abs(told - np.float32(0.03))

    found = {name: judged(change, name, pixels()).holds for name in ("fp32", "fp16", "bf16")}
    assert found == {"fp32": False, "fp16": False, "bf16": True}
