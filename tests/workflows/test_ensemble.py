"""``catsdogs ensemble``, through the real command line, and the ensemble as a model like any other."""

import csv
import json
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

import catsdogs
from catsdogs.cli.main import main
from catsdogs.core.ensemblereport import EnsembleReport
from catsdogs.core.predictions import Predictions
from catsdogs.core.report import EvaluationReport
from catsdogs.core.temperature import fit_temperature, log_loss
from catsdogs.core.voting import Vote
from catsdogs.data.layouts import find_labelled
from catsdogs.data.splits import read_split
from catsdogs.models import trial
from catsdogs.models.heads import features_of
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.workflows import ensemble as workflow
from catsdogs.workflows.ensembling.building import cook_soup
from catsdogs.workflows.ensembling.deciding import decide
from catsdogs.workflows.ensembling.members import open_members
from catsdogs.workflows.ensembling.pictures import judges_from

DRAWN = "drawn:cat,dog?per_class=30&size=40"
TINY = [
    *[
        "--data.root",
        DRAWN,
        "--data.workers",
        "0",
        "--data.val_fraction",
        "0.4",
        "--data.test_fraction",
        "0.2",
    ],
    *["--model.weights", "none", "--model.backbone", "test_resnet", "--model.input_size", "32"],
    *["--trainer.deterministic", "true"],
]
MEMBERS = {
    "linear": ["--transfer.strategy", "linear_probe"],
    "stage": ["--transfer.strategy", "stage_probe", "--transfer.stages", "2"],
    "svm": ["--transfer.strategy", "svm_probe", "--transfer.stages", "top"],
    "top": ["--transfer.strategy", "finetune_top", "--transfer.epochs", "1"],
    "other": ["--transfer.strategy", "linear_probe", "--seed", "1"],
    "larger": ["--transfer.strategy", "linear_probe", "--model.input_size", "40"],
}


@pytest.fixture(autouse=True, scope="module")
def undrawn_and_exact() -> Iterator[None]:
    """Leave figures out: they have tests of their own. No trial may choose bf16, which is another answer.

    Of the whole module, as the ensembles are that its fixtures make.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "save_figure", lambda _, path: path.touch())
        patch.setattr(trial, "has_bf16", lambda _: False)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "has_bf16", lambda _: False)
        for module in ("train", "choose", "diagnose", "gallery"):
            patch.setattr(
                f"catsdogs.workflows.{module}.save_figure", lambda _, path: path.touch(), raising=False
            )
        for name, options in MEMBERS.items():
            assert main(["train", *TINY, *options, "--run", str(folder / name)]) == 0
    shutil.copytree(folder / "top", folder / "hot")
    classifier, card = load_model(folder / "hot")
    for weights in classifier.parameters():
        weights.data *= 1.1
    save_model(folder / "hot/model", classifier, card)
    return folder


@pytest.fixture(scope="module")
def soft(runs) -> Path:
    """The mean of three probes."""
    assert (
        main(
            [
                "ensemble",
                *(str(runs / name) for name in ("linear", "stage", "svm")),
                "--run",
                str(runs / "soft"),
            ]
        )
        == 0
    )
    return runs / "soft"


@pytest.fixture(scope="module")
def by_torch(soft) -> np.ndarray:
    """What torch says with mirrored views, from Python."""
    model = catsdogs.load(soft, engine="torch", precision="fp32")
    assert model.class_names == ("cat", "dog")
    return model.predict(DRAWN, tta="flip").probabilities


def made(runs: Path, out: Path, *words: str) -> EnsembleReport:
    """Make an ensemble; words without a dash are names of runs."""
    named = [
        word if word.startswith("-") or before.startswith("--") else str(runs / word)
        for before, word in zip(("", *words), words, strict=False)
    ]
    assert main(["ensemble", *named, "--run", str(out)]) == 0
    return EnsembleReport.load(out / "ensemble.json")


def ids_of(run: Path, split: str) -> set[str]:
    return {record.id for record in read_split(run / "split.csv") if record.split == split}


class TestAModelLikeAnyOther:
    def test_evaluate_finds_what_was_reported(self, soft: Path, tmp_path: Path) -> None:
        told = EvaluationReport.load(soft / "evaluation.json")
        assert main(["evaluate", "--checkpoint", str(soft), "--out", str(tmp_path)]) == 0
        again = EvaluationReport.load(tmp_path / "evaluation.json")
        assert again.n == told.n == len(ids_of(soft, "test"))
        assert again.confusion == told.confusion
        assert again.metrics["log_loss"].value == pytest.approx(told.metrics["log_loss"].value, abs=1e-5)
        answers = [Predictions.load(folder / "predictions.npz") for folder in (soft, tmp_path)]
        # Of its own features: a member's are others, and so is what is strange to it.
        np.testing.assert_allclose(*(one.unfamiliar for one in answers), atol=1e-9)
        assert Predictions.load(soft / "validation.npz").unfamiliar is None

    def test_it_says_what_the_members_say_together(self, soft: Path, runs: Path) -> None:
        card = load_card(soft)
        assert [member.training["strategy"] for member in card.members] == [
            "linear_probe",
            "stage_probe",
            "svm_probe",
        ]
        alone = np.stack(
            [Predictions.load(runs / name / "predictions.npz").logits for name in ("linear", "stage", "svm")]
        )
        together = Vote.of("soft", [1, 1, 1]).merge(alone) / card.temperature
        np.testing.assert_allclose(Predictions.load(soft / "predictions.npz").logits, together, atol=1e-9)

    @pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
    def test_other_engines_with_views_and_features(
        self, engine: str, soft: Path, by_torch: np.ndarray, tmp_path: Path
    ) -> None:
        out = tmp_path / "p.csv"
        words = [
            "predict",
            "--checkpoint",
            str(soft),
            "--input",
            DRAWN,
            "--output",
            str(out),
            "--tta",
            "flip",
        ]
        more = ["--engine", engine, "--precision", "fp32", "--save-features", str(tmp_path / "f.npz")]
        assert main([*words, *more]) == 0
        with out.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        np.testing.assert_allclose([float(row["p_dog"]) for row in rows], by_torch[:, 1], atol=1e-4)
        assert all(0 <= float(row["unfamiliar"]) < 1 for row in rows)
        with np.load(tmp_path / "f.npz") as arrays:
            width = sum(features_of(head) for head in load_model(soft)[0].head)
            assert arrays["features"].shape == (60, width)

    def test_export(self, soft: Path, tmp_path: Path) -> None:
        words = ["export", "--checkpoint", str(soft), "--format", "onnx", "--out", str(tmp_path / "m.onnx")]
        assert main(words) == 0
        parity = json.loads((tmp_path / "m.parity.json").read_text())
        assert parity["views"]["none"]["largest_difference"] < 1e-4

    def test_what_only_single_networks_do(self, soft: Path, tmp_path: Path, capsys) -> None:
        out = str(tmp_path / "out")
        for words, said in (
            (["evaluate", "--checkpoint", str(soft), "--tta", "dense:64", "--out", out], "no dense views"),
            (["train", *TINY[:6], "--model.weights", str(soft), "--run", out], "is an ensemble of 3"),
            (["ensemble", str(soft), str(soft / "model"), "--run", out], "is an ensemble itself"),
            (
                ["evaluate", "--checkpoint", str(soft), "--engine", "openvino", "--precision", "bf16"],
                "needs fp32",
            ),
        ):
            assert main(words) == 2
            error = capsys.readouterr().err
            assert said in error
            assert error.count("\n") == 1


def test_its_page_tells_how_to_make_it_again(soft: Path, runs: Path, tmp_path: Path) -> None:
    assert main(["report", str(soft), "--out", str(tmp_path / "page.html")]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "To repeat it" in text
    command = json.loads((soft / "plan.json").read_text())["command"]
    assert command in text
    words = shlex.split(command)
    assert words[:2] == ["catsdogs", "ensemble"]
    assert main([*words[1:], "--run", str(tmp_path / "again")]) == 0
    first, again = (
        json.loads((folder / "ensemble.json").read_text()) for folder in (soft, tmp_path / "again")
    )
    assert first == again


class TestMembersThatWantOtherPictures:
    """Backbones come with sizes, crops and statistics of their own."""

    @pytest.fixture(scope="class")
    @classmethod
    def mixed(cls, runs: Path) -> Path:
        shutil.copytree(runs / "stage", runs / "grey")
        classifier, card = load_model(runs / "grey")
        preprocess = replace(card.preprocess, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        save_model(runs / "grey/model", classifier, replace(card, preprocess=preprocess))
        made(runs, runs / "mixed", "linear", "larger", "grey")
        return runs / "mixed"

    def test_pictures_are_prepared_for_the_largest(self, mixed: Path, runs: Path) -> None:
        card = load_card(mixed)
        assert card.preprocess == load_card(runs / "larger").preprocess
        assert len({member.preprocess for member in card.members}) == 3

    def test_evaluate_finds_what_was_reported(self, mixed: Path, tmp_path: Path) -> None:
        told = EvaluationReport.load(mixed / "evaluation.json")
        assert main(["evaluate", "--checkpoint", str(mixed), "--out", str(tmp_path)]) == 0
        again = EvaluationReport.load(tmp_path / "evaluation.json")
        assert again.metrics["log_loss"].value == pytest.approx(told.metrics["log_loss"].value, abs=1e-5)

    def test_each_says_nearly_what_it_says_alone(self, mixed: Path, runs: Path) -> None:
        card = load_card(mixed)
        assert card.vote is not None
        each = [catsdogs.load(runs / name, engine="torch") for name in ("linear", "larger", "grey")]
        alone = np.stack([np.log(model.predict(DRAWN).probabilities) for model in each])
        together = catsdogs.load(mixed, engine="torch").predict(DRAWN).probabilities
        expected = np.exp(card.vote.merge(alone) / card.temperature)
        np.testing.assert_allclose(together, expected / expected.sum(axis=1, keepdims=True), atol=0.05)

    @pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
    def test_other_engines(self, engine: str, mixed: Path) -> None:
        by_torch = catsdogs.load(mixed, engine="torch", precision="fp32").predict(DRAWN).probabilities
        other = catsdogs.load(mixed, engine=engine, precision="fp32").predict(DRAWN).probabilities
        np.testing.assert_allclose(other, by_torch, atol=1e-4)


class TestDeciding:
    def test_probes_decide_by_what_cross_validation_said(self, soft: Path, runs: Path) -> None:
        decided = Predictions.load(soft / "validation.npz")
        assert set(decided.ids) == ids_of(runs / "linear", "train") | ids_of(runs / "linear", "val")
        report = EnsembleReport.load(soft / "ensemble.json")
        assert report.heldout == 48
        assert report.judgement.source == "test"
        assert set(report.judgement.members) == {"linear", "stage", "svm"}

    def test_with_a_trained_member_it_is_the_validation_pictures(self, runs: Path, tmp_path: Path) -> None:
        report = made(runs, tmp_path / "e", "linear", "top", "--vote", "weighted")
        assert set(Predictions.load(tmp_path / "e/validation.npz").ids) == ids_of(runs / "top", "val")
        assert "weights learned by log loss on 24 held-out pictures" in report.decided
        assert sum(report.weights.values()) == pytest.approx(1)
        assert load_card(tmp_path / "e").vote.weights == tuple(report.weights.values())

    def test_greedy_leaves_members_out_and_one_alone_is_a_single_network(
        self, runs: Path, tmp_path: Path
    ) -> None:
        report = made(runs, tmp_path / "e", "linear", "stage", "svm", "top", "--select", "greedy")
        assert set(report.weights) | set(report.left_out) == {"linear", "stage", "svm", "top"}
        assert report.decided.startswith("greedy selection with replacement on 24 held-out")
        assert len(load_card(tmp_path / "e").members) == (
            len(report.weights) if len(report.weights) > 1 else 0
        )

    def test_one_alone_under_a_majority_says_what_its_network_says(self) -> None:
        chance = np.random.default_rng(0)
        labels = chance.integers(0, 2, 100)
        ids = tuple(map(str, range(100)))
        sides = np.where(labels == 1, 1.0, -1.0)[:, None] * np.array([[-0.5, 0.5]])
        good = Predictions(ids, ("cat", "dog"), sides * chance.normal(3, 1.5, (100, 1)), labels)
        bad = replace(good, logits=-good.logits)
        decision = decide([good, bad], 2, vote="majority", select="greedy", seed=0)
        assert decision.voting == (0,)
        assert decision.vote.kind == "soft"
        assert decision.temperature == pytest.approx(fit_temperature(good.logits, labels))

    @pytest.mark.parametrize("how", [("soft", "greedy"), ("weighted", "all")])
    def test_what_was_lucky_on_the_held_out_pictures_is_not_what_they_keep(
        self, how: tuple[str, str]
    ) -> None:
        vote, select = how
        losses = []
        for seed in range(4):
            chance = np.random.default_rng(seed)
            labels, ids = chance.integers(0, 2, 40), tuple(map(str, range(40)))
            noise = [Predictions(ids, ("cat", "dog"), chance.normal(size=(40, 2)), labels) for _ in range(8)]
            decision = decide(noise, 8, vote=vote, select=select, seed=0)
            losses.append(log_loss(decision.said.logits, labels))
        # Members that know nothing: better than ln 2 is luck that thresholds must not learn from.
        assert np.mean(losses) > np.log(2) - 1e-3

    def test_majority(self, runs: Path, tmp_path: Path) -> None:
        report = made(runs, tmp_path / "e", "linear", "stage", "svm", "--vote", "majority")
        assert report.kind == load_card(tmp_path / "e").vote.kind == "majority"

    def test_what_a_member_told_of_other_views_is_not_its_answer(self, runs: Path, tmp_path: Path) -> None:
        shutil.copytree(runs / "linear", tmp_path / "linear")
        words = ["--checkpoint", str(tmp_path / "linear"), "--tta", "flip", "--out", str(tmp_path / "linear")]
        assert main(["evaluate", *words]) == 0
        merged, plain = (
            Predictions.load(path / "linear/predictions.npz").logits for path in (tmp_path, runs)
        )
        assert np.abs(merged - plain).max() > 1e-4
        members = open_members([tmp_path / "linear", runs / "stage"])
        judges = [one for one in read_split(runs / "linear/split.csv") if one.split == "test"]
        answers = workflow._Bench(members, judges, judges, "test", 0).answers()
        np.testing.assert_allclose(answers[0].logits, plain, atol=1e-5)

    def test_members_of_other_splits_share_no_judge_and_no_jury(
        self, runs: Path, tmp_path: Path, capsys
    ) -> None:
        report = made(runs, tmp_path / "e", "linear", "other", "--vote", "weighted")
        printed = " ".join(capsys.readouterr().out.split())
        taught = set.union(
            *(ids_of(runs / name, split) for name in ("linear", "other") for split in ("train", "val"))
        )
        everything = {record.id for record in read_split(runs / "linear/split.csv")}
        judged = set(Predictions.load(tmp_path / "e/predictions.npz").ids)
        assert judged == everything - taught
        tested = ids_of(runs / "linear", "test") | ids_of(runs / "other", "test")
        if report.heldout:
            assert not tested & set(Predictions.load(tmp_path / "e/validation.npz").ids)
        else:
            assert "are held out by all members: members vote with equal weights" in printed

    @pytest.mark.slow
    def test_folds_are_judged_by_the_pictures_that_all_leave_aside(self, tmp_path: Path) -> None:
        words = ["tune", "kfold", *TINY, *MEMBERS["linear"], "--folds", "2", "--run", str(tmp_path / "cv")]
        assert main(words) == 0
        report = made(tmp_path, tmp_path / "e", "cv")
        assert list(report.weights) == ["fold-1", "fold-2"]
        assert report.heldout == 0
        judged = set(Predictions.load(tmp_path / "e/predictions.npz").ids)
        assert judged == ids_of(tmp_path / "cv", "test")

    def test_of_an_input_what_taught_a_member_is_left_out(self, runs: Path, tmp_path: Path, capsys) -> None:
        report = made(runs, tmp_path / "e", "linear", "top", "--input", DRAWN)
        assert report.judgement.comparison.n == 12
        assert "left out: 48 pictures that taught a member" in capsys.readouterr().out

    def test_of_an_input_what_taught_any_member_is_left_out_though_others_call_theirs_alike(
        self, runs: Path, tmp_path: Path
    ) -> None:
        # Another folder of pictures with the same names: those that the second member has learned from.
        moved = tmp_path / "moved"
        shutil.copytree(runs / "top", moved)
        other = f"{DRAWN}&seed=7"
        roots = {record.root for record in read_split(moved / "split.csv")}
        text = (moved / "split.csv").read_text()
        for root in roots:
            text = text.replace(root, find_labelled(other).records[0].root)
        (moved / "split.csv").write_text(text)
        members = open_members([runs / "linear", moved])
        judged = {record.id for record in judges_from(members, other)}
        assert judged == ids_of(moved, "test")


class TestSoup:
    def test_it_is_one_network_with_the_mean_of_the_weights(self, runs: Path, tmp_path: Path) -> None:
        report = made(runs, tmp_path / "e", "top", "hot", "--soup", "true")
        assert report.kind == "soup"
        assert not load_card(tmp_path / "e").members
        tensors = [
            load_file(folder / "model/model.safetensors")
            for folder in (runs / "top", runs / "hot", tmp_path / "e")
        ]
        name = next(
            name
            for name, one in tensors[0].items()
            if one.is_floating_point() and (one != tensors[1][name]).any()
        )
        np.testing.assert_allclose(tensors[2][name], (tensors[0][name] + tensors[1][name]) / 2, atol=1e-6)
        assert report.heldout == 24

    @pytest.mark.slow
    def test_greedy_is_no_worse_than_the_best_member(self, runs: Path, tmp_path: Path) -> None:
        report = made(runs, tmp_path / "e", "top", "hot", "--soup", "true", "--select", "greedy")
        assert report.judgement.comparison.names[0] in report.weights

    def test_without_a_jury_nobody_is_called_the_best(self, runs: Path, tmp_path: Path, capsys) -> None:
        for name in ("linear", "other"):
            shutil.copytree(runs / name, tmp_path / name)
            for told in ("validation.npz", "out_of_fold.npz"):
                (tmp_path / name / told).unlink(missing_ok=True)
        report = made(tmp_path, tmp_path / "e", "linear", "other", "--input", f"{DRAWN}&seed=7")
        assert not report.judgement.chosen
        assert "linear, the first member" in " ".join(capsys.readouterr().out.split())

    def test_it_builds_on_the_embedded_model_if_a_member_does(self, runs: Path, tmp_path: Path) -> None:
        shutil.copytree(runs / "hot", tmp_path / "hot")
        classifier, card = load_model(tmp_path / "hot")
        save_model(tmp_path / "hot/model", classifier, replace(card, embedded=True))
        members = open_members([runs / "top", tmp_path / "hot"])
        assert cook_soup(members, [], select="all").card.embedded

    def test_other_shapes_have_no_mean(self, runs: Path, tmp_path: Path, capsys) -> None:
        words = [
            "ensemble",
            str(runs / "top"),
            str(runs / "stage"),
            "--soup",
            "true",
            "--run",
            str(tmp_path / "e"),
        ]
        assert main(words) == 2
        assert "have no mean: they differ in stages" in capsys.readouterr().err
        assert not (tmp_path / "e").exists()


def test_mistakes_are_one_line_and_leave_nothing(runs: Path, tmp_path: Path, capsys) -> None:
    wider = tmp_path / "wider"
    shutil.copytree(runs / "linear", wider)
    values = json.loads((wider / "model/model.json").read_text())
    values["preprocess"]["width_px"] = 64
    (wider / "model/model.json").write_text(json.dumps(values))
    linear, stage = str(runs / "linear"), str(runs / "stage")
    for words, said in (
        ([linear], "needs two or more members"),
        ([linear, linear], "a model is given twice"),
        ([linear, str(tmp_path / "nowhere")], "no such run or model folder"),
        ([linear, str(wider)], "linear and wider cannot share pictures: inputs of different shape"),
        ([linear, stage, "--vote", "loud"], "--vote 'loud' is not one of soft, majority, weighted"),
        ([linear, stage, "--select", "some"], "--select 'some' is not one of all, greedy"),
        ([linear, stage, "--soup", "true", "--vote", "majority"], "leave out --vote"),
    ):
        assert main(["ensemble", *words, "--run", str(tmp_path / "e")]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
        assert not (tmp_path / "e").exists()
    assert main(["ensemble", linear, stage, "--run", linear]) == 2
    assert "exists already" in capsys.readouterr().err
