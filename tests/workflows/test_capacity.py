"""``catsdogs capacity`` and the options of ``catsdogs_cnn``, through the real command line."""

import csv
import json

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from catsdogs.cli.main import main
from catsdogs.core.errors import ConfigError
from catsdogs.core.metricsfile import read_metrics
from catsdogs.models.modelcard import load_card
from catsdogs.models.modelfile import load_model
from catsdogs.transfer.strategies import find_strategy
from catsdogs.workflows.sections import ModelSettings, NetworkSettings, TransferSettings
from catsdogs.workflows.settings import TrainSettings
from catsdogs.workflows.start import assemble
from catsdogs.workflows.study import open_base

TINY = ["--data.root", "drawn:cat,dog?per_class=12&size=40", "--data.workers", "0"]
SHORT = ["--transfer.epochs", "1", "--transfer.batch_size", "8"]


def sweep(out, *more):
    return main(["capacity", *TINY, *SHORT, "--out", str(out), *more])


@pytest.mark.slow
def test_a_sweep_trains_each_size_and_takes_what_is_whole(tmp_path, capsys, monkeypatch):
    out = tmp_path / "sweep"
    assert sweep(out, "--widths", "4,2") == 0
    printed = capsys.readouterr().out
    assert "run 2 of 2: width-4-seed-0" in printed
    with (out / "capacity.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["width"] for row in rows] == ["2", "4"]
    for row in rows:
        run = out / f"width-{row['width']}-seed-0"
        classifier, card = load_model(run)
        assert card.network.width == int(row["width"])
        assert sum(p.numel() for p in classifier.parameters()) == int(row["parameters"])
        assert row["val_loss"] == read_metrics(run / "metrics.csv")[-1]["val_loss"]
    with Image.open(out / "capacity.png") as figure:
        assert figure.width > 900

    from catsdogs.workflows import capacity

    def refuse(_, path):
        raise ConfigError(f"asked to train {path.name}")

    monkeypatch.setattr(capacity, "train", refuse)
    assert sweep(out, "--widths", "2,4,6") == 2
    out_text, error = capsys.readouterr()
    assert "width-4-seed-0 is complete" in out_text
    assert error == "catsdogs: asked to train width-6-seed-0\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--widths", "4"], "--widths needs two or more sizes to compare"),
        (["--widths", "4,4"], "--widths needs two or more sizes to compare"),
        (["--widths", "4,x"], "--widths takes whole numbers with commas between them, not '4,x'"),
        (["--widths", "4,0"], "catsdogs_cnn has a width from 1 to 512, not 0"),
        (["--widths", "4,8", "--depths", "1,2"], "give --widths or --depths, not both"),
        (["--network.width", "5"], "--network.width is what the sweep changes; give --widths"),
        (["--depths", "1,2", "--network.depth", "3"], "--network.depth is what the sweep changes"),
        (["--seeds", "0"], "--seeds must be 1 or more, not 0"),
        (["--model.backbone", "test_resnet"], "a capacity sweep trains --model.backbone catsdogs_cnn"),
        (["--transfer.strategy", "auto"], "a capacity sweep trains --model.backbone catsdogs_cnn"),
    ],
)
def test_what_is_no_sweep_is_refused_before_anything_is_written(tmp_path, capsys, more, said):
    assert sweep(tmp_path / "sweep", *more) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


def test_runs_of_other_settings_are_not_mixed(tmp_path, capsys):
    run = tmp_path / "width-4-seed-0"
    run.mkdir()
    (run / "config.yaml").write_text("seed: 0\n")
    assert sweep(tmp_path, "--widths", "4,8") == 2
    assert "width-4-seed-0 was trained with other settings; choose another --out" in capsys.readouterr().err


def test_nothing_to_validate_on_is_said(tmp_path, capsys):
    assert sweep(tmp_path / "sweep", "--widths", "2,4", "--data.val_fraction", "0") == 2
    assert "sizes are compared on validation pictures, and there are none" in capsys.readouterr().err


NETWORK = [
    *["--network.width", "3", "--network.depth", "2", "--network.batch_norm", "false"],
    *["--network.residual", "false", "--network.dropout", "0.1", "--model.activation", "maxout"],
    *["--model.initialization", "orthogonal", "--model.head", "mlp", "--model.hidden", "5"],
]


def test_a_network_of_ones_own_goes_from_training_to_prediction(tmp_path):
    run, output = tmp_path / "run", tmp_path / "rows.csv"
    model = ["--model.backbone", "catsdogs_cnn", "--model.input_size", "32", *NETWORK]
    strategy = ["--transfer.strategy", "from_scratch"]
    assert main(["train", *TINY, *SHORT, *model, *strategy, "--run", str(run)]) == 0
    card = load_card(run)
    written = {"width": 3, "depth": 2, "batch_norm": False, "residual": False, "dropout": 0.1}
    assert card.network.to_dict() == {**written, "activation": "maxout"}
    assert card.head.activation == "maxout"
    start = load_model(run / "checkpoints" / "start")[0].backbone.stages[3][1].conv2.conv.weight
    for piece in start.detach().flatten(1).chunk(2):
        torch.testing.assert_close(piece @ piece.T, torch.eye(24), atol=1e-5, rtol=0)
    assert main(["evaluate", "--checkpoint", str(run)]) == 0
    words = ["--checkpoint", str(run), "--input", "drawn:cat?per_class=2&size=40", "--output", str(output)]
    assert main(["predict", *words]) == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["network"]["width"] == 3
    assert json.loads((run / "plan.json").read_text())["auxiliary"] == 0


def settings(**parts):
    named = {"model": ModelSettings, "network": NetworkSettings, "transfer": TransferSettings}
    return TrainSettings(**{name: named[name](**values) for name, values in parts.items()})


def test_an_auxiliary_classifier_that_auto_has_no_use_for_is_told_of(capsys):
    model = {"backbone": "catsdogs_cnn", "weights": "none", "input_size": 32}
    wanted = settings(model=model, network={"width": 2, "auxiliary": 0.3})
    base = open_base(wanted, ("a", "b"), training_pictures=9, weights="none")
    frozen = assemble(find_strategy("linear_probe"), base, None, wanted)
    line = "warning: --network.auxiliary changes nothing: linear_probe keeps the backbone"
    assert capsys.readouterr().out.strip() == line
    trained = assemble(find_strategy("finetune_full"), base, None, wanted, timed=False)
    assert "auxiliary" not in capsys.readouterr().out
    assert (frozen.plan, trained.plan["auxiliary"]) == ({}, 0.3)


def scratch(weights="none", **model):
    wanted = settings(model={"backbone": "test_resnet", "weights": weights, "input_size": 32, **model})
    return open_base(wanted, ("a", "b"), training_pictures=1, weights=weights).backbone.state_dict()


class TestInitialization:
    def test_changes_a_network_without_weights(self):
        zeros = scratch(initialization="zeros")
        assert not zeros["conv1.0.weight"].any()
        assert zeros["bn1.weight"].all()
        assert scratch()["conv1.0.weight"].any()

    def test_never_touches_pretrained_weights(self, tmp_path):
        save_file(scratch(), tmp_path / "w.safetensors")
        kept = scratch(str(tmp_path / "w.safetensors"), head="mlp", initialization="zeros")
        assert all(torch.equal(value, kept[name]) for name, value in scratch().items())

    def test_never_touches_a_probed_head(self, tmp_path):
        words = ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
        more = ["--model.initialization", "constant", "--transfer.strategy", "linear_probe"]
        assert main(["train", *TINY, *words, *more, "--run", str(tmp_path / "run")]) == 0
        assert load_model(tmp_path / "run")[0].head.fc.bias.any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--network.width 8",
            "--network.width is for --model.backbone catsdogs_cnn, not for mobilenetv2_100",
        ),
        ("--network.auxiliary 0.3", "--network.auxiliary is for --model.backbone catsdogs_cnn"),
        ("--network.auxiliary -1", "--network.auxiliary must be 0 or more, not -1"),
        (
            "--model.backbone catsdogs_cnn --model.weights none --network.auxiliary 0.3 "
            "--transfer.strategy linear_probe",
            "--network.auxiliary helps layers to learn, but linear_probe keeps the backbone",
        ),
        ("--model.activation tanh", "--model.activation is for --model.head mlp and"),
        ("--model.activation swish", "--model.activation takes one of"),
        ("--model.initialization zeros", "--model.initialization is for --model.head mlp and"),
        ("--model.backbone catsdogs_cnn --network.depth 65", "catsdogs_cnn has a depth from 1 to 64, not 65"),
        ("--model.backbone catsdogs_cnn --network.dropout 1", "catsdogs_cnn has a dropout in [0, 1), not 1"),
        ("--model.backbone catsdogs_cnn", "there are no weights of catsdogs_cnn to fetch"),
    ],
)
def test_options_that_nothing_would_use_are_refused(tmp_path, capsys, words, said):
    assert main(["train", *TINY, *words.split(), "--run", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_two_activations_do_not_share_cached_features():
    names = {
        open_base(
            settings(model={"backbone": "catsdogs_cnn", "weights": "none", "activation": activation}),
            ("a", "b"),
            training_pictures=1,
            weights="none",
        ).architecture
        for activation in ("relu", "gelu")
    }
    assert len(names) == 2
