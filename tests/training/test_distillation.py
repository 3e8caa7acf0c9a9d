"""Distillation: the loss is the papers', the student moves towards the teacher, and nobody else notices."""

import copy
import shutil

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from catsdogs.cli.main import main
from catsdogs.core.errors import ConfigError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.layergroups import layer_groups
from catsdogs.models.networkspec import CNN, NetworkSpec
from catsdogs.training.callbacks import EpochLog
from catsdogs.training.distillation import Teacher, resized
from catsdogs.training.optimizers import HEAD, parameter_groups
from catsdogs.training.recipe import Distillation, Recipe
from catsdogs.training.task import ClassificationTask
from catsdogs.transfer.strategies import find_strategy, freeze_plan

PIXELS = torch.randint(0, 256, (6, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
ASKED = Distillation("runs/teacher", weight=0.7, temperature=3.0, features=0.5, maps=0.4)


def network(width, seed, size=32):
    torch.manual_seed(seed)
    backbone, _ = create_backbone(CNN, network=NetworkSpec(width=width))
    head = build_head(feature_width(backbone), 3, HeadSpec())
    return ImageClassifier(backbone, head, PreprocessSpec(size, size))


@pytest.fixture
def student():
    return network(4, 0).train()


def teacher_of(student, asked=ASKED, size=32, calibration=1.0):
    return Teacher(student, network(8, 1), PreprocessSpec(size, size), asked, calibration=calibration, seed=0)


def maps_of(classifier):
    """The maps of the strides 8 and 16, as timm gives them."""
    _, maps = classifier.backbone.forward_intermediates(classifier.normalize(PIXELS))
    return [one for one in maps if 32 // one.shape[-1] in (8, 16)]


def scaled(values):
    others = [place for place in range(values.ndim) if place != 1]
    spread = values.var(others, unbiased=False, keepdim=True)
    return (values - values.mean(others, keepdim=True)) / (spread + 1e-5).sqrt()


def test_the_loss_is_that_of_the_papers(student):
    teacher = teacher_of(student, calibration=1.5)
    logits = student(PIXELS)
    of_labels = F.cross_entropy(logits, LABELS)
    given = teacher.loss(PIXELS, logits, of_labels)
    other = network(8, 1).eval()
    with torch.no_grad():
        features = other.features(PIXELS)
        target = (other.head(features) / 1.5 / 3).softmax(1)
    divergence = (target * (target.log() - (logits / 3).log_softmax(1))).sum(1).mean()
    distance = (teacher.of_features(student.features(PIXELS)) - scaled(features)).square().mean()
    maps = torch.stack(
        [
            (teacher.of_maps[str(stride)](own) - scaled(theirs)).square().mean()
            for stride, own, theirs in zip((8, 16), maps_of(student), maps_of(other), strict=True)
        ]
    )
    expected = 0.3 * of_labels + 0.7 * 9 * divergence + 0.5 * distance + 0.4 * maps.mean()
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


def test_a_student_that_answers_like_its_teacher_has_nothing_to_learn():
    teacher = network(4, 3).eval()
    student = copy.deepcopy(teacher)
    asked = Distillation("x", weight=1.0, features=0.0, maps=0.0)
    same = Teacher(student, teacher, PreprocessSpec(32, 32), asked, seed=0)
    logits = student(PIXELS)
    assert same.loss(PIXELS, logits, F.cross_entropy(logits, LABELS)).item() == pytest.approx(0, abs=1e-6)


def test_gradients_reach_student_and_linear_maps_and_never_the_teacher(student):
    teacher = teacher_of(student)
    logits = student(PIXELS)
    teacher.loss(PIXELS, logits, F.cross_entropy(logits, LABELS)).backward()
    assert all(parameter.grad.any() for parameter in teacher.parameters())
    assert student.backbone.stem[0].conv.weight.grad.any()
    assert all(parameter.grad is None for parameter in teacher._teacher[0].parameters())


def test_the_teacher_is_never_trained_or_saved_and_its_statistics_stay(student):
    teacher = teacher_of(student)
    before = copy.deepcopy(teacher._teacher[0].state_dict())
    for _ in range(2):
        logits = student(PIXELS)
        teacher.train().loss(PIXELS, logits, F.cross_entropy(logits, LABELS))
    after = teacher._teacher[0].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert {name.partition(".")[0] for name in teacher.state_dict()} == {"of_features", "of_maps"}
    groups = layer_groups(student.backbone)
    plan = freeze_plan(find_strategy("from_scratch"), len(groups), epochs=1)
    parts = parameter_groups(student, groups, plan, Recipe(1, 0.1, 1.0, 1.0, 8, 0, 0), [teacher])
    held = {id(p) for part in parts if part["layer_group"] == HEAD for p in part["params"]}
    assert held == {id(p) for p in (*student.head.parameters(), *teacher.parameters())}


def test_a_copy_of_the_student_is_not_listened_to(student):
    """Checks and trials train copies: of their steps nothing may stay behind."""
    teacher = teacher_of(student)
    again = copy.deepcopy(student).train()
    again(PIXELS).sum().backward()
    assert teacher._features is None
    assert not teacher._own_maps
    copy.deepcopy(student)
    logits = student(PIXELS)
    of_labels = F.cross_entropy(logits, LABELS)
    wanted = teacher.loss(PIXELS, logits, of_labels)
    logits = student(PIXELS)
    again(PIXELS[:2])
    torch.testing.assert_close(teacher.loss(PIXELS, logits, F.cross_entropy(logits, LABELS)), wanted)


def test_it_goes_along_to_another_device_or_type(student):
    teacher = teacher_of(student).to(torch.float64)
    assert teacher._teacher[0].head[-1].weight.dtype == torch.float64


def test_a_teacher_of_another_size_sees_the_same_picture_scaled():
    flat = torch.full((2, 20, 20, 3), 77, dtype=torch.uint8)
    assert torch.equal(resized(flat, (31, 31)), torch.full((2, 31, 31, 3), 77, dtype=torch.uint8))
    left = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    left[:, :, :8] = 200
    larger = resized(left, (32, 32))
    assert larger.shape == (1, 32, 32, 3)
    assert (larger[:, :, :14] == 200).all()
    assert (larger[:, :, 18:] == 0).all()
    assert resized(left, (16, 16)) is left


def test_one_picture_has_no_spread_and_does_no_harm(student):
    teacher = teacher_of(student.eval())
    student.head.train()
    logits = student(PIXELS[:1])
    assert torch.isfinite(teacher.loss(PIXELS[:1], logits, F.cross_entropy(logits, LABELS[:1])))


def test_the_logged_loss_is_that_of_the_labels(student):
    groups = layer_groups(student.backbone)
    plan = freeze_plan(find_strategy("from_scratch"), len(groups), epochs=1)
    teacher = teacher_of(student)
    task = ClassificationTask(
        student,
        Recipe(1, 0.1, 1.0, 1.0, 8, 0, 0),
        groups=groups,
        plan=plan,
        batches_per_epoch=1,
        teacher=teacher,
    )
    task.log_dict = lambda *_, **__: None
    total = task.training_step((PIXELS, LABELS), 0)
    shown = task.train_loss.compute()
    logits = student(PIXELS)
    torch.testing.assert_close(shown, F.cross_entropy(logits, LABELS))
    torch.testing.assert_close(total, teacher.loss(PIXELS, logits, shown))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"teacher": "x", "weight": 1.1}, "--distillation.weight must be in"),
        ({"teacher": "x", "temperature": 0.0}, "--distillation.temperature must be positive"),
        ({"teacher": "x", "features": -1.0}, "--distillation.features must be 0 or more"),
        ({"teacher": "x", "maps": -1.0}, "--distillation.maps must be 0 or more"),
        ({"weight": 0.5}, "--distillation.weight needs --distillation.teacher"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(options, named):
    with pytest.raises(ConfigError, match=named):
        Distillation(**options)


DRAWN = ["--data.root", "drawn:cat,dog?per_class=20&size=40", "--data.workers", "0"]
SCRATCH = ["--model.backbone", CNN, "--transfer.strategy", "from_scratch", "--transfer.batch_size", "8"]
EXACT = ["--trainer.deterministic", "true", "--trainer.precision", "32-true", "--transfer.epochs", "2"]
RUN = ["train", *DRAWN, *SCRATCH, *EXACT, "--model.input_size", "32", "--network.width", "4"]


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught")
    larger = [*RUN[:-3], "40", "--network.width", "6"]
    assert main([*larger, "--run", str(folder / "teacher")]) == 0
    return folder / "teacher"


def checkpoint(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_a_run_learns_from_it_resumes_bit_equal_without_it_and_leaves_it_out_of_the_model(
    taught, tmp_path, monkeypatch
):
    whole, killed, moved = tmp_path / "whole", tmp_path / "killed", tmp_path / "moved"
    shutil.copytree(taught, moved)
    right = EpochLog.on_train_batch_start

    def copying(self, trainer, pl_module, batch, batch_idx):
        """What a kill in the second epoch leaves behind is the folder as it lies there."""
        right(self, trainer, pl_module, batch, batch_idx)
        if trainer.current_epoch == 1 and not killed.exists():
            shutil.copytree(trainer.default_root_dir, killed)

    monkeypatch.setattr(EpochLog, "on_train_batch_start", copying)
    assert main([*RUN, "--distillation.teacher", str(moved), "--run", str(whole)]) == 0
    shutil.rmtree(moved)
    assert main(["train", "--resume", str(killed)]) == 0
    end, resumed = checkpoint(whole), checkpoint(killed)
    assert all(torch.equal(value, resumed[name]) for name, value in end.items())
    kept = {name.split(".")[1] for name in end if name.startswith("teacher.")}
    assert kept == {"of_features", "of_maps"}
    names = {name.removeprefix("classifier.") for name in end if name.startswith("classifier.")}
    with safe_open(whole / "model" / "model.safetensors", framework="pt") as opened:
        assert set(opened.keys()) == names


def test_what_cannot_be_taught_is_said_in_one_line(taught, tmp_path, capsys):
    def told(*options):
        assert main([*RUN, "--run", str(tmp_path / "run"), *options]) == 2
        assert not (tmp_path / "run").exists()
        return capsys.readouterr().err.strip().splitlines()[-1]

    assert "no such run or model folder" in told("--distillation.teacher", str(tmp_path / "nowhere"))
    others = told(
        "--distillation.teacher", str(taught), "--data.root", "drawn:cat,rabbit?per_class=4&size=40"
    )
    assert "knows cat, dog; the pictures are of cat, rabbit" in others
    frozen = told("--distillation.teacher", str(taught), "--transfer.strategy", "linear_probe")
    assert "linear_probe learns from features" in frozen
