"""What is not imported: start-up time is a feature, and it is lost one import at a time."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import catsdogs
from catsdogs.cli.main import COMMANDS, main
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model

TRACED = (
    "import json, sys, {module}; {code}; print(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
)


def run(code: str, *, module: str = "catsdogs") -> tuple[list[str], set[str]]:
    """Run code in a fresh interpreter; return the lines it printed and the packages it imported."""
    command = [sys.executable, "-W", "error", "-c", TRACED.format(module=module, code=code)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    *printed, modules = result.stdout.splitlines()
    return printed, set(json.loads(modules))


class TestThePackage:
    def test_importing_it_is_silent_and_light(self) -> None:
        printed, modules = run("pass")
        assert printed == []
        heavy = {
            "torch",
            "torchvision",
            "timm",
            "lightning",
            "PIL",
            "sklearn",
            "scipy",
            "matplotlib",
            "rich",
            "numpy",
        }
        assert not modules & heavy

    def test_public_surface(self) -> None:
        assert catsdogs.__all__ == ["__version__", "load"]
        assert all(hasattr(catsdogs, name) for name in catsdogs.__all__)
        from catsdogs.workflows.loaded import load

        assert catsdogs.load is load
        assert catsdogs.__version__.count(".") == 2

    def test_what_is_not_there_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="module 'catsdogs' has no attribute 'save'"):
            _ = catsdogs.save

    def test_help_needs_neither_torch_nor_the_parser(self) -> None:
        printed, modules = run("catsdogs.cli.main.main(['--help'])", module="catsdogs.cli.main")
        assert printed[0] == "usage: catsdogs COMMAND [options]"
        assert not modules & {"torch", "jsonargparse", "numpy", "yaml", "rich"}

    @pytest.mark.parametrize(
        "command",
        [
            "train",
            "plan",
            "preview",
            "evaluate",
            "predict",
            "export",
            "backbones",
            "draw",
            "cache",
            "doctor",
            "diagnose",
            "tune",
            "tta",
            "explain",
        ],
    )
    def test_every_command_of_the_table_can_be_loaded(self, command: str) -> None:

        assert command in COMMANDS
        assert callable(importlib.import_module(f"catsdogs.cli.{command}").run)

    def test_help_of_a_command_does_not_wait_for_torch(self) -> None:
        code = "\ntry: catsdogs.cli.main.main(['predict', '--help'])\nexcept SystemExit: pass\n"
        program = f"import sys, catsdogs.cli.main{code}assert 'torch' not in sys.modules"
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert "--checkpoint" in result.stdout


class TestReadingNeedsNoTorch:
    def test_pictures_predictions_and_judgement(self) -> None:
        names = (
            "core.predictions",
            "core.report",
            "data.stores",
            "data.layouts",
            "data.decode",
            "data.stream",
            "data.views",
            "data.audit",
            "data.splits",
            "evaluation.judge",
            "inference.writers",
        )
        code = "import " + ", ".join(f"catsdogs.{name}" for name in names)
        _, modules = run(code)
        assert not modules & {"torch", "torchvision", "timm", "lightning"}


class TestPredicting:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        backbone, spec = create_backbone("test_resnet", input_size=32)
        head = build_head(feature_width(backbone), 2, HeadSpec())
        card = ModelCard("test_resnet", ("cat", "dog"), spec)
        save_model(tmp_path / "run" / "model", ImageClassifier(backbone, head, spec), card)
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "1.png")
        (tmp_path / "2.png").write_bytes(b"nothing")
        return tmp_path

    def test_on_one_device_never_imports_lightning(self, home: Path) -> None:
        words = ["predict", "--checkpoint", str(home / "run"), "--input", str(home / "1.png")]
        words += ["--output", str(home / "rows.csv"), "--tta", "flip"]
        _, modules = run(f"catsdogs.cli.main.main({words!r})", module="catsdogs.cli.main")
        assert (home / "rows.csv").is_file()
        assert "torch" in modules
        assert not modules & {
            "lightning",
            "pytorch_lightning",
            "torchmetrics",
            "sklearn",
            "scipy",
            "matplotlib",
        }

    @pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
    def test_a_converted_model_needs_no_torch(self, engine: str, home: Path, monkeypatch) -> None:
        monkeypatch.setenv("CATSDOGS_ENGINE", engine)  # what --engine auto comes to
        words = ["predict", "--checkpoint", str(home / "run"), "--input", str(home / "1.png")]
        words += ["--output", str(home / "rows.csv"), "--precision", "fp32"]
        assert main(words) == 0  # converts
        first = (home / "rows.csv").read_bytes()
        printed, modules = run(f"catsdogs.cli.main.main({words!r})", module="catsdogs.cli.main")
        assert f"engine: {engine}, fp32" in printed
        assert (home / "rows.csv").read_bytes() == first
        heavy = {"torch", "torchvision", "timm", "lightning", "sklearn", "scipy", "matplotlib", "onnx"}
        assert not modules & heavy

    def test_from_python(self, home: Path) -> None:
        torch.manual_seed(0)
        model = catsdogs.load(home / "run", precision="fp32", workers=1)
        assert model.class_names == ("cat", "dog")
        assert model.precision == "fp32"
        paths = [home / "1.png", str(home / "2.png"), home / "missing.png"]
        predictions = model.predict(iter(paths), tta="flip")
        assert predictions.ids == tuple(map(str, paths))
        assert list(predictions.errors) == [1, 2]
        np.testing.assert_allclose(predictions.probabilities[0].sum(), 1.0)
        np.testing.assert_array_equal(
            model.predict(home / "1.png", tta="flip").logits[0], predictions.logits[0]
        )

    def test_a_folder_may_be_called_like_the_drawn_pictures(self, home: Path, monkeypatch) -> None:
        (home / "drawn").mkdir()
        (home / "1.png").rename(home / "drawn" / "1.png")
        monkeypatch.chdir(home)
        model = catsdogs.load("run", precision="fp32")
        assert model.predict(Path("drawn")).ids == ("1.png",)
