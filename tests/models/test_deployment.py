"""What cannot be written as ONNX is told in one line, and nothing else is printed."""

import os
import threading
import time

import pytest
from timm.layers import CondConv2d
from torch import Tensor, nn

from catsdogs.core.errors import ModelError
from catsdogs.core.printable import first_line
from catsdogs.models import deployment
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.deployment import DeployedClassifier, to_onnx
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec


class Mixed(nn.Module):
    """A convolution whose kernel is computed, as in tf_efficientnet_cc_b0_4e: neither exporter knows it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = CondConv2d(channels, channels, 1, num_experts=2)

    def forward(self, features: Tensor) -> Tensor:
        mixed: Tensor = self.convolution(features[:, :, None, None], features[:, :2].sigmoid())
        return mixed.flatten(1)


@pytest.fixture
def strange() -> DeployedClassifier:
    backbone, spec = create_backbone("test_resnet", input_size=32)
    width = feature_width(backbone)
    head = build_head(width, 2, HeadSpec())
    return DeployedClassifier(ImageClassifier(backbone, nn.Sequential(Mixed(width), *head), spec), 1.0)


@pytest.mark.slow
def test_a_network_that_nobody_can_write_is_one_line(strange, capfd) -> None:
    print("before")
    with pytest.raises(ModelError, match="cannot be written as ONNX: Error when translating node") as caught:
        to_onnx(strange)
    print("after")
    assert "\n" not in str(caught.value)
    assert "u001b" not in str(caught.value)
    assert capfd.readouterr().out == "before\nafter\n"


def test_without_a_standard_output_nothing_is_done(capfd, monkeypatch) -> None:
    def refuse(_: int) -> int:
        raise OSError("Bad file descriptor")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", refuse)
        with deployment._standard_output_closed():
            os.write(1, b"as it was")
    assert capfd.readouterr().out == "as it was"


def test_standard_output_comes_back_after_a_mistake(capfd) -> None:
    def export() -> None:
        with deployment._standard_output_closed():
            os.write(1, b"graph")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        export()
    os.write(1, b"answer")
    assert capfd.readouterr().out == "answer"


def test_two_threads_leave_it_as_it_was(capfd) -> None:
    """The second must not take what the first has closed for the standard output."""
    inside = threading.Event()

    def hold(seconds: float) -> None:
        with deployment._standard_output_closed():
            inside.set()
            time.sleep(seconds)

    threads = [threading.Thread(target=hold, args=(seconds,)) for seconds in (0.05, 0.1)]
    threads[0].start()
    inside.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    os.write(1, b"answer")
    assert capfd.readouterr().out == "answer"


def test_colours_of_a_message_are_dropped() -> None:
    assert first_line(ValueError("This is \x1b[96mstep 3\x1b[0m\nNext")) == "This is step 3"
