"""Exported files answer as torch does, say what they are, and are not there where they do not."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.core.predictions import softmax
from catsdogs.inference.exporting import parity
from catsdogs.inference.exporting.formats import FORMATS
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model
from catsdogs.models.networkspec import CNN, NetworkSpec

HEADS = {
    "linear": HeadSpec(),
    "mlp": HeadSpec("mlp", hidden=8, activation="maxout"),
    "rbf": HeadSpec("rbf", vectors=5),
}


def save(folder: Path, head: str = "linear", network: NetworkSpec | None = None) -> ImageClassifier:
    torch.manual_seed(0)
    name = CNN if network else "test_resnet"
    backbone, spec = create_backbone(name, input_size=32, network=network)
    layers = build_head(feature_width(backbone), 2, HEADS[head])
    for tensor in (*layers.fc.parameters(), *layers.fc.buffers()):
        if tensor.ndim == 2:
            torch.nn.init.normal_(tensor)
    classifier = ImageClassifier(backbone, layers, spec).eval()
    card = ModelCard(name, ("cat", "dog"), spec, HEADS[head], temperature=1.7, network=network)
    save_model(folder / "model", classifier, card)
    return classifier


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for number in range(4):
        small = Image.fromarray(chance.integers(0, 256, (6, 5, 3), dtype=np.uint8))
        small.resize((50, 60)).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"nothing")
    return folder


def exported(model: Path, photos: Path, out: Path, *options: str) -> int:
    words = ["export", "--checkpoint", str(model), "--input", str(photos), "--out", str(out), *options]
    return main(words)


@pytest.mark.parametrize(
    ("form", "precision"), [("onnx", "fp32"), ("openvino", "fp32"), ("openvino", "fp16")]
)
def test_answers_as_torch_for_batches_of_any_length(form: str, precision: str, photos, tmp_path) -> None:
    classifier = save(tmp_path)
    assert exported(tmp_path, photos, tmp_path / "out", "--format", form, "--precision", precision) == 0
    path = tmp_path / "out" / f"model{FORMATS[form].suffix}"
    run = FORMATS[form].open(path)
    pixels = np.random.default_rng(1).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    expected = Runner(classifier, Execution()).logits(pixels)
    tolerance = 1e-4 if precision == "fp32" else 0.1
    for length in (1, 7):
        logits, probabilities = run(pixels[:length])
        np.testing.assert_allclose(logits, expected[:length], rtol=0, atol=tolerance)
        np.testing.assert_allclose(probabilities, softmax(logits / 1.7), rtol=0, atol=1e-5)


@pytest.mark.parametrize("head", ["mlp", "rbf"])
def test_every_kind_of_head_and_our_own_network(head: str, photos, tmp_path: Path, capsys) -> None:
    save(tmp_path, head, NetworkSpec(width=4))
    assert exported(tmp_path, photos, tmp_path / "m.onnx") == 0
    report = json.loads((tmp_path / "m.parity.json").read_text())
    assert report["pictures"] == 4
    assert set(report["views"]) == {"none", "flip", "ten"}
    assert all(0 <= view["largest_difference"] <= 1e-4 for view in report["views"].values())
    assert all(view["labels_agree"] == 1 for view in report["views"].values())
    assert "against torch fp32 on 4 pictures" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_torch_export(precision: str, photos, tmp_path: Path) -> None:
    save(tmp_path)
    options = ("--format", "torch-export", "--precision", precision)
    assert exported(tmp_path, photos, tmp_path / "m.pt2", *options) == 0
    extra = {"catsdogs.json": ""}
    torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert json.loads(extra["catsdogs.json"])["class_names"] == '["cat", "dog"]'


def test_the_file_says_what_it_is(photos, tmp_path: Path) -> None:
    save(tmp_path)
    assert exported(tmp_path, photos, tmp_path / "m.onnx") == 0
    assert exported(tmp_path, photos, tmp_path / "m.xml", "--format", "openvino") == 0
    words = {one.key: one.value for one in onnx.load(tmp_path / "m.onnx").metadata_props}
    network = openvino.Core().read_model(tmp_path / "m.xml")
    for key, value in words.items():
        if key != "parity":
            assert network.get_rt_info(["catsdogs", key]).astype(str) == value
    assert json.loads(words["class_names"]) == ["cat", "dog"]
    assert json.loads(words["preprocess"])["height_px"] == 32
    assert float(words["temperature"]) == 1.7
    assert json.loads(words["parity"])["pictures"] == 4
    for name in ("logits", "probabilities", "features"):
        assert f"{name}: " in words["outputs"]


def test_what_is_delivered_is_the_graph_that_was_measured(photos, tmp_path: Path, monkeypatch) -> None:
    save(tmp_path)
    built: list[object] = []
    chosen = FORMATS["onnx"]

    def build(*arguments):
        built.append(chosen.build(*arguments))
        return built[-1]

    monkeypatch.setitem(FORMATS, "onnx", replace(chosen, build=build))
    assert exported(tmp_path, photos, tmp_path / "m.onnx") == 0
    assert len(built) == 1
    assert onnx.load(tmp_path / "m.onnx").graph == built[0].graph


def test_the_pictures_are_taken_from_the_whole_split_not_from_its_first_class(
    photos, tmp_path: Path, monkeypatch
) -> None:
    save(tmp_path)
    compared: list[str] = []
    forward = parity.ten_views

    def ten_views(records, *arguments, **options):
        compared.extend(record.id for record in records)
        return forward(records, *arguments, **options)

    monkeypatch.setattr("catsdogs.workflows.export.ten_views", ten_views)
    assert exported(tmp_path, photos, tmp_path / "m.onnx", "--pictures", "3") == 0
    assert compared == ["0.png", "2.png", "broken.jpg"]


class TestRefusals:
    @pytest.fixture
    def refusal(self, tmp_path: Path, photos, capsys):
        save(tmp_path)

        def run(*options: str, out: str = "out") -> str:
            before = sorted(tmp_path.rglob("*"))
            assert exported(tmp_path, photos, tmp_path / out, *options) == 2
            assert sorted(tmp_path.rglob("*")) == before
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            return error

        return run

    def test_a_file_that_answers_otherwise_is_not_left_behind(self, refusal, monkeypatch) -> None:
        forward = parity.measure

        def another(run, *arguments, **options):
            return forward(
                lambda pixels: tuple(a + 1e-3 * a[:, :1] for a in run(pixels)), *arguments, **options
            )

        monkeypatch.setattr("catsdogs.workflows.export.measure", another)
        assert "differ from torch's by" in refusal()

    def test_so_is_one_of_short_numbers(self, refusal, monkeypatch) -> None:
        forward = parity.measure

        def another(run, *arguments, **options):
            return forward(lambda pixels: tuple(-a for a in run(pixels)), *arguments, **options)

        monkeypatch.setattr("catsdogs.workflows.export.measure", another)
        assert "more than 0.02" in refusal("--format", "openvino", "--precision", "fp16")

    @pytest.mark.parametrize(
        ("form", "place"),
        [
            ("onnx", "onnx.helper.set_model_props"),
            ("onnx", "onnx.checker.check_model"),
            ("onnx", "onnxruntime.InferenceSession"),
            ("onnx", "onnxruntime.InferenceSession.run"),
            ("openvino", "openvino.Core.read_model"),
            ("openvino", "openvino.save_model"),
            ("openvino", "openvino.Core.compile_model"),
            ("torch-export", "torch.export.save"),
        ],
    )
    def test_what_a_library_raises_is_one_line(self, form: str, place: str, refusal, monkeypatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("\x1b[31mno such layer\x1b[0m\nand much more")

        monkeypatch.setattr(place, fail)
        assert "cannot do this model: no such layer\n" in refusal("--format", form)

    def test_a_full_disk_is_no_fault_of_the_model(self, refusal, monkeypatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("onnx.save_model", fail)
        assert refusal().endswith("onnx stopped: No space left on device\n")

    def test_options(self, refusal) -> None:
        assert "'coreml' is not one of onnx, openvino, torch-export" in refusal("--format", "coreml")
        assert "--format onnx holds fp32, not bf16" in refusal("--precision", "bf16")
        assert "ends in .onnx" in refusal(out="model.bin")
        assert "must be 1 or more" in refusal("--pictures", "0")

    def test_missing_extra(self, refusal, monkeypatch) -> None:
        monkeypatch.setattr("catsdogs.workflows.export.importlib.util.find_spec", lambda _: None)
        assert "needs onnx, onnxruntime: pip install 'catsdogs[fast]'" in refusal()

    def test_no_pictures(self, tmp_path: Path, capsys) -> None:
        save(tmp_path)
        assert main(["export", "--checkpoint", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
        assert "give some with --input" in capsys.readouterr().err
