"""Features of many pictures come from the engine that predicts, and are torch's features all the same."""

from collections import Counter

import numpy as np
import pytest
import torch

from catsdogs.cli.main import main
from catsdogs.data.splits import read_split
from catsdogs.inference.engines import converted
from catsdogs.models.backbones import create_backbone
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.stages import find_stages
from catsdogs.transfer.features import feature_space
from catsdogs.workflows import extraction
from catsdogs.workflows.extraction import WORTH_CONVERTING, open_extractor

PIXELS = [np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for n in (5, 1, 4)]


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    backbone, spec = create_backbone("test_resnet", input_size=32)
    return backbone.eval(), spec


def opened(backbone, pictures, execution=None):
    network, spec = backbone
    stages = find_stages(network, spec)
    return open_extractor(network, "test_resnet", spec, stages, execution or Execution(), pictures=pictures)


def test_many_pictures_have_an_engine_whose_features_are_torchs(backbone, monkeypatch):
    few = opened(backbone, WORTH_CONVERTING - 1)
    assert isinstance(few, Runner)
    monkeypatch.setenv("CATSDOGS_ENGINE", "onnxruntime")
    many = opened(backbone, WORTH_CONVERTING)
    assert (many.name, many.precision, many.device) == ("onnxruntime", "fp32", "cpu")
    for ours, theirs in zip(many.feature_stream(PIXELS), few.feature_stream(PIXELS), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    spaces = {feature_space(backbone[0], "test_resnet", backbone[1], one) for one in (few, many)}
    assert len(spaces) == 2


def test_a_backbone_is_converted_once_and_stays_as_it_is(backbone, monkeypatch):
    monkeypatch.setenv("CATSDOGS_ENGINE", "onnxruntime")
    before = {name: tensor.clone() for name, tensor in backbone[0].state_dict().items()}
    opened(backbone, WORTH_CONVERTING)
    monkeypatch.setattr(converted, "_convert", lambda _: pytest.fail("it was converted again"))
    torch.manual_seed(7)
    opened(backbone, 10 * WORTH_CONVERTING)
    for name, tensor in backbone[0].state_dict().items():
        assert torch.equal(tensor, before[name])


def test_torch_computes_elsewhere_and_where_nothing_else_can(backbone, monkeypatch):
    assert isinstance(opened(backbone, WORTH_CONVERTING), Runner)  # CATSDOGS_ENGINE is torch
    monkeypatch.setenv("CATSDOGS_ENGINE", "onnxruntime")
    assert isinstance(opened(backbone, 0), Runner)


@pytest.mark.parametrize("deterministic", ["false", "true"])
def test_a_run_uses_it_unless_it_is_to_be_deterministic(deterministic, tmp_path, monkeypatch):
    monkeypatch.setenv("CATSDOGS_ENGINE", "onnxruntime")
    monkeypatch.setattr(extraction, "WORTH_CONVERTING", 20)
    taken = []
    right = extraction.ConvertedExtractor.feature_stream

    def counted(self, batches):
        for rows in right(self, batches):
            taken.append(len(rows))
            yield rows

    monkeypatch.setattr(extraction.ConvertedExtractor, "feature_stream", counted)
    run = tmp_path / "run"
    words = ["--data.root", "drawn:cat,dog?per_class=30&size=40", "--data.workers", "1"]
    words += ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
    words += ["--transfer.strategy", "linear_probe", "--trainer.deterministic", deterministic]
    assert main(["train", *words, "--run", str(run)]) == 0
    parts = Counter(record.split for record in read_split(run / "split.csv"))
    assert sum(taken) == (0 if deterministic == "true" else parts["train"] + parts["val"])
