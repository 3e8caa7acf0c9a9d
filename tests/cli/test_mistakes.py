"""Every mistake: one line on stderr that says what to do, exit code 2, no traceback, nothing written."""

import io
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file

from catsdogs.cli.main import COMMANDS, main
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_model

PREDICT = "predict --checkpoint run --input photos --output new/folder/rows.csv"
EVALUATE = "evaluate --checkpoint run --input labelled --out new/folder"
TRAIN = "train --data.root labelled --model.backbone test_resnet --model.input_size 32 --run new"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A model, photos, labelled photos, and things that are none of these."""
    home = tmp_path_factory.mktemp("home")
    torch.manual_seed(0)
    backbone, spec = create_backbone("test_resnet", input_size=32)
    head = build_head(feature_width(backbone), 2, HeadSpec())
    card = ModelCard("test_resnet", ("cat", "dog"), spec)
    save_model(home / "run" / "model", ImageClassifier(backbone, head, spec), card)
    save_file(backbone.state_dict(), home / "weights.safetensors", metadata={"architecture": "test_resnet"})
    chance = np.random.default_rng(0)
    for folder in ("photos", "labelled/cat", "labelled/dog", "unknown/cat", "unknown/fox"):
        (home / folder).mkdir(parents=True)
        for number in range(4):
            pixels = chance.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / folder / f"{number}.png")
    for folder in ("broken/cat", "broken/dog", "empty", "other", "rows.npz"):
        (home / folder).mkdir(parents=True)
    for broken in ("broken/cat/1.png", "broken/dog/1.png", "file", "other/last.ckpt", "other/w.pth"):
        (home / broken).write_bytes(b"nothing")
    (home / "other" / "model.json").write_text('{"format": "something else"}')
    return home


@pytest.fixture
def home(prepared: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of it that a test may spoil, as the working folder."""
    shutil.copytree(prepared, tmp_path / "home")
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def refusal(home: Path, capsys) -> Callable[[str], str]:
    """A function: a command line -> the line that it is refused with."""

    def run(line: str) -> str:
        before = contents(home)
        assert main(line.split()) == 2
        out, err = capsys.readouterr()
        assert err.startswith("catsdogs: ")
        assert err.count("\n") == 1
        assert "Traceback" not in out + err
        assert contents(home) == before
        return err.removeprefix("catsdogs: ").rstrip("\n")

    return run


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


class TestThePlaceOfPictures:
    @pytest.mark.parametrize("command", [PREDICT, EVALUATE, TRAIN])
    def test_missing_and_empty(self, command: str, refusal) -> None:
        for name in ("photos", "labelled"):
            if f" {name}" in command:
                missing = refusal(command.replace(f" {name}", " nowhere"))
                assert missing == "nowhere cannot be opened: no such file or directory"
                assert refusal(command.replace(f" {name}", " empty")).startswith("empty ")

    def test_no_zip(self, refusal, home: Path) -> None:
        Path("photos.zip").write_bytes(b"PK\x03\x04nothing")
        assert "photos.zip" in refusal(PREDICT.replace("photos", "photos.zip"))

    def test_labels_are_needed_to_judge(self, refusal) -> None:
        assert "no labels" in refusal(EVALUATE.replace("labelled", "photos"))

    def test_a_class_that_the_model_does_not_know(self, refusal) -> None:
        message = refusal(EVALUATE.replace("labelled", "unknown"))
        assert "is of class 'fox'; the known classes are: cat, dog" in message

    def test_nothing_readable_to_judge(self, refusal) -> None:
        message = refusal(EVALUATE.replace("labelled", "broken"))
        assert "nothing to evaluate: none of the 2 labelled pictures could be read" in message

    def test_the_run_has_no_split(self, refusal) -> None:
        assert "split.csv" in refusal("evaluate --checkpoint run")
        assert refusal("evaluate --checkpoint run --split valid") == (
            "split 'valid' is not one of train, val, test"
        )


@pytest.mark.parametrize("command", [PREDICT, EVALUATE])
class TestTheModel:
    def test_missing(self, command: str, refusal) -> None:
        message = refusal(command.replace("checkpoint run", "checkpoint runs"))
        assert message == "runs: no such run or model folder"

    def test_not_ours(self, command: str, refusal) -> None:
        assert refusal(command.replace("checkpoint run", "checkpoint other")) == "it is not a catsdogs model"
        assert "holds no model" in refusal(command.replace("checkpoint run", "checkpoint photos"))
        assert "holds no model" in refusal(command.replace("checkpoint run", "checkpoint other/w.pth"))

    def test_a_url(self, command: str, refusal) -> None:
        message = refusal(command.replace("checkpoint run", "checkpoint https://host/run"))
        assert message.endswith("is a URL; a model is a local folder")

    def test_a_checkpoint(self, command: str, refusal) -> None:
        message = refusal(command.replace("checkpoint run", "checkpoint other/last.ckpt"))
        assert message == "other/last.ckpt is a checkpoint for resuming; give the run folder that holds it"

    @pytest.mark.parametrize("size", [0, 1000, -1])
    def test_truncated(self, command: str, size: int, refusal) -> None:
        tensors = Path("run/model/model.safetensors")
        tensors.write_bytes(tensors.read_bytes()[:size])
        assert "model.safetensors is truncated" in refusal(command)

    def test_without_tensors(self, command: str, refusal) -> None:
        Path("run/model/model.safetensors").unlink()
        assert "model.safetensors cannot be read" in refusal(command)

    def test_damaged_card(self, command: str, refusal) -> None:
        Path("run/model/model.json").write_text('{"format": ')
        assert "model.json cannot be read" in refusal(command)


class TestTheBackbone:
    def test_unknown_name(self, refusal) -> None:
        message = refusal(TRAIN.replace("test_resnet", "mobilnetv2_100"))
        assert message.startswith("timm has no backbone 'mobilnetv2_100'; the nearest are ")
        assert "mobilenetv2_100" in message

    def test_weights_of_another_architecture(self, refusal) -> None:
        message = refusal(TRAIN.replace("test_resnet", "test_vit") + " --model.weights weights.safetensors")
        assert message == "weights.safetensors holds weights of test_resnet, not of test_vit"

    def test_weights_that_do_not_fit(self, refusal) -> None:
        message = refusal(f"{TRAIN} --model.weights run/model/model.safetensors")
        assert "does not fit test_resnet: missing conv1.0.weight" in message

    @pytest.mark.parametrize(
        "weights", ["file", "other/w.pth", "nowhere.pth", "photos", "https://host/w.pth"]
    )
    def test_no_weights(self, weights: str, refusal) -> None:
        assert refusal(f"{TRAIN} --model.weights {weights}").startswith(weights)

    def test_truncated_weights(self, refusal) -> None:
        weights = Path("weights.safetensors")
        weights.write_bytes(weights.read_bytes()[:-1])
        message = refusal(f"{TRAIN} --model.weights weights.safetensors")
        assert message.startswith("weights.safetensors cannot be read as weights: ")

    def test_weights_from_the_hub_without_a_network(self, refusal, monkeypatch, tmp_path: Path) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        message = refusal(f"{TRAIN} --model.weights hub")
        assert message.startswith("the weights of test_resnet could not be fetched from timm's hub")
        assert message.endswith("connect to the network, or give a local file with --model.weights PATH")

    def test_impossible_size(self, refusal) -> None:
        line = TRAIN.replace("test_resnet", "test_vit").replace("size 32", "size 50")
        assert refusal(f"{line} --model.weights none").startswith("test_vit cannot work at 50x50 px: ")

    def test_impossible_stochastic_depth(self, refusal) -> None:
        message = refusal(f"{TRAIN} --model.weights none --model.stochastic_depth 2")
        assert message == "stochastic depth 2.0 is outside [0, 1)"


class TestThePlaceOfResults:
    @pytest.mark.parametrize(
        ("output", "message"),
        [
            ("file/rows.csv", "cannot write file/rows.csv: a file is where its folder should be"),
            ("photos", "cannot write photos: it is a folder"),
            ("rows.csv", "cannot write rows.npz: it is a folder"),
            (
                "logits.npz",
                "rows, logits (logits.npz) and whatever else is written need a file each; choose other names",
            ),
            (f"{'a' * 300}.csv", f"cannot write {'a' * 300}.csv: File name too long"),
        ],
    )
    def test_rows(self, output: str, message: str, refusal) -> None:
        assert refusal(PREDICT.replace("new/folder/rows.csv", output)) == message

    @pytest.mark.parametrize("out", ["file", "file/below"])
    def test_evaluation(self, out: str, refusal) -> None:
        assert refusal(EVALUATE.replace("new/folder", out)).startswith(
            f"cannot write {out}/evaluation.json: "
        )

    def test_a_folder_that_nobody_may_write(self, refusal, monkeypatch) -> None:
        if os.geteuid() == 0:
            pytest.skip("root may write anywhere")
        Path("closed").mkdir(mode=0o500)
        assert "Permission denied" in refusal(PREDICT.replace("new/folder", "closed"))

    @pytest.mark.parametrize("submission", ["new/folder/rows.csv", "new/folder/rows.npz"])
    def test_two_results_in_one_file(self, submission: str, refusal) -> None:
        assert "need a file each" in refusal(f"{PREDICT} --submission {submission}")

    def test_a_submission_of_pictures_without_numbers(self, refusal) -> None:
        Path("photos/kitten.png").write_bytes(Path("photos/1.png").read_bytes())
        message = refusal(f"{PREDICT} --submission new/s.csv")
        assert message == "a submission needs pictures named by number, such as 12.jpg, not kitten.png"


class TestTheCommandLine:
    @pytest.mark.parametrize("command", [PREDICT, EVALUATE, TRAIN])
    def test_unknown_flag(self, command: str, refusal) -> None:
        name = command.partition(" ")[0]
        assert (
            refusal(f"{command} --nope 1") == f"unrecognized arguments: --nope 1 (see catsdogs {name} --help)"
        )

    def test_no_abbreviations(self, refusal) -> None:
        assert "--tt" in refusal(f"{PREDICT} --tt flip")

    def test_a_flag_is_needed(self, refusal) -> None:
        assert "input" in refusal("predict --checkpoint run")

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ("--tta nine", "unknown views 'nine'; choose one of none, flip, five, ten"),
            ("--precision fp8", "precision 'fp8' is not one of auto, fp32, bf16"),
            ("--devices 0", "--devices must be 1 or more, not 0"),
            ("--devices two", "--devices takes a whole number, not 'two'"),
        ],
    )
    @pytest.mark.parametrize("command", [PREDICT, EVALUATE])
    def test_values(self, command: str, more: str, message: str, refusal) -> None:
        assert refusal(f"{command} {more}").startswith(message)

    def test_workers(self, refusal) -> None:
        assert refusal(f"{PREDICT} --workers -1") == "workers must be 0 or more, not -1"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("devices: two\n", "--devices takes a whole number, not 'two'"),
            ("seed: [1]\n", "--seed takes a whole number"),
            ("nope: 1\n", "Option 'nope' is not accepted"),
            ("{{{", "Problems parsing config"),
            ("- 1\n", "Unexpected config"),
            ("tta: nine\n", "unknown views 'nine'"),
        ],
    )
    def test_config_files(self, text: str, message: str, refusal) -> None:
        Path("c.yaml").write_text(text)
        assert refusal(f"{EVALUATE} --config c.yaml").startswith(message)

    def test_missing_config_file(self, refusal) -> None:
        assert "nowhere.yaml" in refusal(f"{EVALUATE} --config nowhere.yaml")

    def test_unknown_command(self, refusal) -> None:
        assert refusal("classify x") == (f"'classify' is not a command; there are {', '.join(COMMANDS)}")

    def test_nothing_at_all_shows_the_commands(self, capsys) -> None:
        assert main([]) == 2
        assert "predict" in capsys.readouterr().out

    @pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"]])
    def test_help_is_no_mistake(self, words: list[str], capsys) -> None:
        assert main(words) == 0
        assert capsys.readouterr().out.startswith(("usage: catsdogs", "catsdogs "))

    def test_names_cannot_steer_the_terminal(self, home: Path, capsys) -> None:
        name = os.fsdecode(b"\x1b[2J\xff\nx")
        assert main(["predict", "--checkpoint", name, "--input", "photos"]) == 2
        assert capsys.readouterr().err == r"catsdogs: \x1b[2J\udcff x: no such run or model folder" + "\n"


class TestWhatIsNoMistake:
    """The same lines without the mistake work, so that the tests above are about the mistake."""

    @pytest.mark.parametrize("tta", ["none", "flip"])
    def test_predict(self, tta: str, home: Path, capsys) -> None:
        assert main(f"{PREDICT} --tta {tta} --submission new/s.csv".split()) == 0
        assert sorted(path.name for path in Path("new").rglob("*.*")) == [
            "rows.csv",
            "rows.npz",
            "s.csv",
            "s.raw.csv",
        ]
        assert capsys.readouterr().err == ""

    def test_predict_a_list(self, home: Path, monkeypatch, capsys) -> None:
        listed = io.TextIOWrapper(io.BytesIO(b"photos/1.png\r\nphotos/\xff.png\n\nphotos/0.png"))
        monkeypatch.setattr(sys, "stdin", listed)
        assert main(PREDICT.replace("photos", "-").split()) == 0
        rows = Path("new/folder/rows.csv").read_text(encoding="utf-8").splitlines()
        assert [row.partition(",")[0] for row in rows] == [
            "path",
            "photos/1.png",
            r"photos/\xff.png",
            "photos/0.png",
        ]

    def test_evaluate_pictures_and_classes_with_odd_names(self, home: Path, capsys) -> None:
        odd = os.fsdecode(b"labelled/cat/\x1b[31m\xff[x]:dog:\n.png")
        Path(odd).write_bytes(Path("labelled/cat/1.png").read_bytes())
        assert main(EVALUATE.split()) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert "\x1b" not in out
        names = {path.name for path in Path("new/folder").iterdir()}
        assert names == {
            "evaluation.json",
            "slices.json",
            "predictions.csv",
            "predictions.npz",
            "gallery.png",
        }
