"""Views through the real command line: what evaluate tells of them, and learned weights."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.core.predictions import Predictions, softmax
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.data.preparation import prepare
from catsdogs.data.splits import write_split
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.models.modelfile import save_model

PER_CLASS = 12
FP32 = ["--precision", "fp32"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a network that knows nothing, with 24 validation and 24 test pictures."""
    torch.manual_seed(0)
    backbone, _ = create_backbone("test_resnet", input_size=32)
    spec = PreprocessSpec(32, 32, crop_fraction=0.8)
    head = build_head(feature_width(backbone), 2, HeadSpec())
    torch.nn.init.normal_(head.fc.weight)
    classifier = ImageClassifier(backbone, head, spec).eval()
    chance = np.random.default_rng(0)
    records, prepared = [], []
    for number in range(4 * PER_CLASS):
        small = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((60, 50), Image.Resampling.BICUBIC)
        picture.save(tmp_path / f"{number}.png")
        label, split = ("cat", "dog")[number % 2], ("val", "test")[number // (2 * PER_CLASS)]
        records.append(ImageRecord(f"{number}.png", str(tmp_path), f"{number}.png", label, split=split))
        prepared.append(prepare(picture, spec))
    with torch.no_grad():  # else it would call all of them the same
        head.fc.bias -= classifier(torch.from_numpy(np.stack(prepared))).mean(0)
    folder = tmp_path / "run"
    save_model(folder / "model", classifier, ModelCard("test_resnet", ("cat", "dog"), spec))
    write_split(folder / "split.csv", records)
    (folder / "plan.json").write_text(json.dumps({"fitted_on": ["train"]}))
    return folder


def evaluated(run: Path, out: Path, *words: str) -> EvaluationReport:
    assert main(["evaluate", "--checkpoint", str(run), "--out", str(out), *FP32, *words]) == 0
    return EvaluationReport.load(out / "evaluation.json")


def rows(path: Path) -> np.ndarray:
    with path.open() as stream:
        return np.array([[float(row["p_cat"]), float(row["p_dog"])] for row in csv.DictReader(stream)])


def test_evaluate_tells_what_views_have_changed(run: Path, tmp_path: Path, capsys) -> None:
    plain = evaluated(run, tmp_path / "plain")
    assert plain.views is None
    told = evaluated(run, tmp_path / "ten", "--tta", "ten").views
    assert "10 views, merged by mean, against the plain view" in capsys.readouterr().out
    before, after = rows(tmp_path / "plain" / "predictions.csv"), rows(tmp_path / "ten" / "predictions.csv")
    saved = Predictions.load(tmp_path / "ten" / "predictions.npz")
    labels = saved.labels
    right_before, right_after = before.argmax(1) == labels, after.argmax(1) == labels
    assert told.wrong_to_right == (right_after & ~right_before).sum()
    assert told.right_to_wrong == (right_before & ~right_after).sum()
    assert told.wrong_to_right + told.right_to_wrong > 0
    gain = -np.log(before[range(24), labels]) + np.log(after[range(24), labels])
    assert told.gain["log_loss"].value == pytest.approx(gain.mean(), abs=1e-6)
    assert told.picture_ms == pytest.approx(10 * told.view_ms)
    # The single view of the same pass is the single view of its own pass.
    np.testing.assert_allclose(softmax(saved.views.plain), before, rtol=0, atol=1e-6)
    np.testing.assert_allclose(softmax(saved.views.logits).mean(axis=0), after, rtol=0, atol=1e-6)


@pytest.mark.parametrize("tta", ["scales:32,50xflip", "random:2", "dense"])
def test_views_that_do_not_hold_the_plain_one_are_compared_with_it_too(
    tta: str, run: Path, tmp_path: Path
) -> None:
    evaluated(run, tmp_path / "plain")
    told = evaluated(run, tmp_path / "many", "--tta", tta).views
    saved = Predictions.load(tmp_path / "many" / "predictions.npz")
    assert len(told.views) == len(saved.views)
    assert "centre" not in told.views
    plain = rows(tmp_path / "plain" / "predictions.csv")
    np.testing.assert_allclose(softmax(saved.views.plain), plain, rtol=0, atol=1e-6)
    assert np.abs(saved.probabilities - plain).max() > 0.01


@pytest.mark.parametrize("merge", ["logits", "geometric", "max", "vote"])
def test_predict_merges_as_it_is_told(merge: str, run: Path, tmp_path: Path) -> None:
    words = ["predict", "--checkpoint", str(run), "--input", str(tmp_path / "1.png"), "--tta", "flip", *FP32]
    for name in ("mean", merge):
        assert main([*words, "--tta_merge", name, "--output", str(tmp_path / f"{name}.csv")]) == 0
    merged, mean = rows(tmp_path / f"{merge}.csv"), rows(tmp_path / "mean.csv")
    assert merged.sum() == pytest.approx(1)
    assert np.abs(merged - mean).max() > 1e-4


def test_learned_weights_travel_with_the_model(run: Path, tmp_path: Path, capsys) -> None:
    assert not load_card(run).view_weights
    before = rows_of_test(run, tmp_path, "before")
    assert main(["tta", "fit", "--checkpoint", str(run), "--tta", "five", *FP32]) == 0
    shown = capsys.readouterr().out
    assert "Weights of 5 views, from 24 val pictures" in shown
    assert "cross-validated" in shown
    (learned,) = load_card(run).view_weights
    assert (learned.learned_on, learned.n, learned.tta) == ("val", 24, "five")
    assert sum(learned.weights.values()) == pytest.approx(1)
    told = evaluated(run, tmp_path / "after", "--tta", "five").views
    assert told.merge == "mean with learned weights"
    assert {name: one["weight"] for name, one in told.views.items()} == pytest.approx(dict(learned.weights))
    saved = Predictions.load(tmp_path / "after" / "predictions.npz")
    weights = np.array([learned.weights[name] for name in saved.views.names])
    expected = np.einsum("v,vnc->nc", weights, softmax(saved.views.logits))
    np.testing.assert_allclose(saved.probabilities, expected, rtol=0, atol=1e-9)
    # The plain mean is still to be had, and other views know nothing of the weights.
    mean = evaluated(run, tmp_path / "mean", "--tta", "five", "--tta_merge", "mean").views
    assert mean.merge == "mean"
    np.testing.assert_allclose(rows(tmp_path / "mean" / "predictions.csv"), before, rtol=0, atol=1e-8)
    # On the pictures they were learned on they are not worse than the mean, and evaluate says where that was.
    capsys.readouterr()
    own = [
        evaluated(run, tmp_path / merge, "--tta", "five", "--split", "val", "--tta_merge", merge)
        for merge in ("auto", "mean")
    ]
    assert own[0].metrics["log_loss"].value <= own[1].metrics["log_loss"].value
    assert "the weights of these views were learned on the val pictures" in capsys.readouterr().out
    # Learning again replaces them.
    assert main(["tta", "fit", "--checkpoint", str(run), "--tta", "five", "--split", "test", *FP32]) == 0
    assert [one.learned_on for one in load_card(run).view_weights] == ["test"]


def rows_of_test(run: Path, tmp_path: Path, name: str) -> np.ndarray:
    evaluated(run, tmp_path / name, "--tta", "five")
    return rows(tmp_path / name / "predictions.csv")


def test_a_probe_that_knows_the_validation_pictures_is_weighed_on_others(run: Path, capsys) -> None:
    (run / "plan.json").write_text(json.dumps({"fitted_on": ["train", "val"]}))
    assert main(["tta", "fit", "--checkpoint", str(run), "--tta", "flip", *FP32]) == 0
    assert "learned from the validation pictures too" in capsys.readouterr().out
    assert load_card(run).view_weights[0].learned_on == "test"
    assert main(["tta", "fit", "--checkpoint", str(run), "--tta", "flip", "--split", "val", *FP32]) == 0
    assert "warning: the model has learned from the val pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tta", "fit", "--tta", "none"], "is a single view"),
        (["tta", "fit", "--tta", "random:3"], "random views differ from picture to picture"),
        (["tta", "fit", "--tta", "flip", "--split", "all"], "split 'all' is not one of"),
        (["tta", "learn"], "catsdogs tta learn: there is fit"),
        (["explain", "deep"], "catsdogs explain deep: there is dense"),
        (["predict", "--input", ".", "--tta", "scales:8"], "8 px is outside 32 "),
        (["predict", "--input", ".", "--tta", "flip", "--tta_merge", "median"], "--tta_merge takes one of"),
    ],
)
def test_mistakes_are_one_line(words: list[str], told: str, run: Path, capsys) -> None:
    where = [] if len(words) == 2 else ["--checkpoint", str(run)]
    assert main([*words, *where]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


class TestExplainDense:
    def test_draws_a_map_over_each_picture(self, run: Path, tmp_path: Path, capsys) -> None:
        (tmp_path / "broken.png").write_bytes(b"nothing")
        Image.new("RGB", (900, 20), "red").save(tmp_path / "long.png")
        inputs = [str(tmp_path / name) for name in ("1.png", "broken.png", "long.png")]
        words = ["explain", "dense", "--checkpoint", str(run), "--out", str(tmp_path / "maps")]
        assert main([*words, "--input", *inputs]) == 0
        drawn = sorted(path.name for path in (tmp_path / "maps").iterdir())
        assert drawn == ["0001-1.png", "0003-long.png"]
        with Image.open(tmp_path / "maps" / "0001-1.png") as drawing:
            assert drawing.width > 300
        assert "broken.png: not a picture of an allowed format" in capsys.readouterr().out

    def test_networks_without_a_map_say_why(self, tmp_path: Path, capsys) -> None:
        backbone, spec = create_backbone("test_vit", input_size=64)
        head = build_head(feature_width(backbone), 2, HeadSpec())
        save_model(
            tmp_path / "vit",
            ImageClassifier(backbone, head, spec),
            ModelCard("test_vit", ("cat", "dog"), spec),
        )
        Image.new("RGB", (80, 80)).save(tmp_path / "1.png")
        where = ["--checkpoint", str(tmp_path / "vit"), "--input", str(tmp_path / "1.png")]
        assert main(["explain", "dense", *where, "--out", str(tmp_path / "maps")]) == 2
        assert main(["predict", *where, "--tta", "dense", "--output", str(tmp_path / "rows.csv")]) == 2
        err = capsys.readouterr().err
        assert err.count("test_vit has no dense views: its features do not come from a map") == 2
        assert not (tmp_path / "maps").exists()
        assert not (tmp_path / "rows.csv").exists()


def test_models_written_before_there_were_weights_still_load(run: Path) -> None:
    path = run / "model" / "model.json"
    old = json.loads(path.read_text())
    del old["view_weights"], old["augmentation"]
    path.write_text(json.dumps(old))
    card = load_card(run)
    assert card.view_weights == ()
    assert card.augmentation is None


@pytest.mark.parametrize(
    "weights", [{"centre": 2.0}, {"centre": -0.5, "x": 1.5}, {"centre": "a"}, {}, {"centre": float("nan")}, 3]
)
def test_damaged_weights_are_refused(weights: object, run: Path, capsys) -> None:
    path = run / "model" / "model.json"
    card = json.loads(path.read_text())
    card["view_weights"] = [{"tta": "flip", "weights": weights, "learned_on": "val", "n": 3}]
    path.write_text(json.dumps(card))
    assert main(["predict", "--checkpoint", str(run), "--input", str(run.parent)]) == 2
    assert "the weights of" in capsys.readouterr().err
