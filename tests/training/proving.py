"""What the proofs share: small networks of many families, one real training of them, and a witness to it.

Run as a script, it is one process of a distributed training (see ``test_proof_ddp.py``).
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.data.datamodule import FeatureDataModule
from catsdogs.data.mixing import Mixing
from catsdogs.models.backbones import feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.layergroups import layer_groups
from catsdogs.training.callbacks import LastCheckpoint
from catsdogs.training.freezing import ApplyPlan, freeze_for_wrapping
from catsdogs.training.optimizers import training_parameters
from catsdogs.training.recipe import Recipe, Solver
from catsdogs.training.task import ClassificationTask
from catsdogs.training.trainer import build_trainer, quiet
from catsdogs.transfer.strategies import FreezePlan, Strategy, find_strategy, freeze_plan

SIZE = 32
BATCH = 8
STEPS = 3
# Rates of everything that is random in training, where a family has it.
_ATTENTION = {"proj_drop_rate": 0.2, "attn_drop_rate": 0.2}
_SWIN = {"img_size": 64, "window_size": 2, "embed_dim": 16, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 4, 4)}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("test_resnet", {}),
    "byobnet": ("test_byobnet", {}),
    "efficientnet": ("test_efficientnet", {}),
    "convnext": ("test_convnext", {}),
    "vit": ("test_vit", {**_ATTENTION, "img_size": SIZE, "pos_drop_rate": 0.2, "patch_size": 8}),
    "swin": ("swin_tiny_patch4_window7_224", {**_ATTENTION, **_SWIN}),
    "coatnet": ("test_coatnet", {"img_size": 64}),
    "maxvit": ("test_maxvit", {"img_size": 64}),
    "nfnet": ("test_nfnet", {}),
    "cnn": ("catsdogs_cnn", {"width": 4}),
}


def make_classifier(family: str, *, dropout: float = 0.3) -> ImageClassifier:
    """Return a classifier with random weights; with ``dropout`` 0 nothing in it is random."""
    torch.manual_seed(0)
    name, options = FAMILIES[family]
    rates = {key: value if dropout else 0.0 for key, value in options.items() if key.endswith("_rate")}
    backbone = timm.create_model(name, num_classes=0, drop_path_rate=dropout, **{**options, **rates})
    with torch.no_grad():
        for parameter in backbone.parameters():
            if not parameter.any():  # fresh networks begin with branches that no gradient reaches
                parameter.normal_(std=0.1)
    size = options.get("img_size", SIZE)
    head = build_head(feature_width(backbone), 2, HeadSpec(dropout=dropout))
    classifier = ImageClassifier(backbone, head, PreprocessSpec(size, size))
    classifier.size = size
    return classifier


def pictures(classifier: ImageClassifier) -> tuple[torch.Tensor, list[int]]:
    """Return random pictures and classes for a few steps and an incomplete one."""
    noise = torch.Generator().manual_seed(5)
    shape = (BATCH * STEPS + 2, classifier.size, classifier.size, 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise)
    return pixels, torch.randint(0, 2, (len(pixels),), generator=noise).tolist()


def make_plan(strategy: Strategy, classifier: ImageClassifier, **options: int) -> FreezePlan:
    """Return the plan of a strategy for this backbone."""
    return freeze_plan(strategy, len(layer_groups(classifier.backbone)), **{"epochs": 1, **options})


def named_plan(name: str, classifier: ImageClassifier, **options: int) -> FreezePlan:
    """Return the plan of a named strategy, with what it says about statistics applied."""
    strategy = find_strategy(name)
    classifier.frozen_statistics = strategy.frozen_statistics
    return make_plan(strategy, classifier, **options)


def train(
    classifier: ImageClassifier,
    plan: FreezePlan,
    folder: Path,
    *callbacks: Callback,
    checkpoint: Path | None = None,
    options: dict[str, Any] | None = None,
    applying: Callable[..., Callback] = ApplyPlan,
    wrapping: Callable[..., None] = freeze_for_wrapping,
    unfreezes: bool | None = None,
    mixing: Mixing | None = None,
) -> ClassificationTask:
    """Train as ``workflows.fit`` does, on random pictures; the last words may put a mistake in its place."""
    groups = layer_groups(classifier.backbone)
    recipe = Recipe(
        epochs=plan.epochs,
        learning_rate=1e-3,
        head_rate=1.0,
        layer_decay=0.9,
        batch_size=BATCH,
        patience_epochs=0,
        seed=0,
        solver=Solver(weight_decay=0.05),
    )
    pixels, labels = pictures(classifier)
    data = FeatureDataModule((pixels, labels), (pixels[:6], labels[:6]), batch_size=BATCH, seed=0)
    trainer = build_trainer(
        {"accelerator": "cpu", "deterministic": True, "enable_progress_bar": False, **(options or {})},
        epochs=plan.epochs,
        precision="32-true",
        folder=str(folder),
        callbacks=[applying(groups, plan), *callbacks, LastCheckpoint(folder / "last.ckpt")],
        unfreezes=len(plan.phases) > 1 if unfreezes is None else unfreezes,
    )
    wrapping(classifier, groups, plan)
    batches = data.batches_per_epoch(trainer.world_size)
    task = ClassificationTask(
        classifier, recipe, groups=groups, plan=plan, batches_per_epoch=batches, mixing=mixing
    )
    with quiet():
        trainer.fit(task, datamodule=data, ckpt_path=str(checkpoint) if checkpoint else None)
    return task


def digest(classifier: nn.Module) -> str:
    """Return what tells apart any two states of parameters and buffers."""
    total = hashlib.sha256()
    for name, value in classifier.state_dict().items():
        total.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


class Digests(Callback):
    """Notes the state after every epoch."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.found.append(digest(pl_module.classifier))


class Witness(Callback):
    """Holds a training to what its plan says, epoch by epoch; the first thing that is not so fails."""

    def __init__(self, plan: FreezePlan) -> None:
        self.plan = plan
        self.epochs = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimizer holds what ever trains, once each, and nothing else."""
        classifier = pl_module.classifier
        names = training_parameters(classifier, layer_groups(classifier.backbone), self.plan)
        wanted = [id(p) for name, p in classifier.backbone.named_parameters() if name in names]
        wanted += [id(p) for p in classifier.head.parameters()]
        (optimizer,) = trainer.optimizers
        held = [id(p) for group in optimizer.param_groups for p in group["params"]]
        assert sorted(held) == sorted(wanted), "the optimizer holds other tensors than those that ever train"

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Note the state, and look at what is frozen."""
        classifier = pl_module.classifier
        groups = layer_groups(classifier.backbone)
        names = training_parameters(classifier, groups, self.plan, trainer.current_epoch)
        for name, parameter in classifier.named_parameters():
            trains = name.removeprefix("backbone.") in names or name.startswith("head.")
            assert parameter.requires_grad == trains, f"{name} trains: {parameter.requires_grad}"
        check_frozen_features(classifier)
        self.before = {name: value.clone() for name, value in classifier.state_dict().items()}
        self.moving: set[str] = set()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Note which tensors have a gradient."""
        for name, parameter in pl_module.classifier.named_parameters():
            if parameter.grad is not None and parameter.grad.any():
                assert parameter.requires_grad, f"{name} is frozen and has a gradient"
                self.moving.add(name)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """What is frozen is as it was; what had a gradient is not; all that trains had one."""
        classifier = pl_module.classifier
        trainable = {name for name, p in classifier.named_parameters() if p.requires_grad}
        assert self.moving == trainable, f"no gradient reaches {sorted(trainable - self.moving)}"
        learning = trainable | own_statistics(classifier)
        for name, value in classifier.state_dict().items():
            same = torch.equal(value, self.before[name])
            assert same == (name not in learning), f"{name} {'stood still' if same else 'moved'}"
        self.epochs += 1


def own_statistics(classifier: ImageClassifier) -> set[str]:
    """Return the buffers of normalisation layers that train and may follow the batches."""
    return {
        f"{title}.{name}"
        for title, module in classifier.named_modules()
        if not classifier.frozen_statistics and any(p.requires_grad for p in module.parameters(recurse=False))
        for name, _ in module.named_buffers(recurse=False)
        if name.startswith(("running_", "num_batches"))
    }


def check_frozen_features(classifier: ImageClassifier) -> None:
    """Hold what is frozen, in training mode, to what it computes in evaluation mode, without gradients below.

    Two ways: every frozen module must give for the same input what it gives in evaluation mode; and what
    enters the first layer that trains must be what enters it in evaluation mode, and need no gradient.
    """
    network = copy.deepcopy(classifier)
    pixels = pictures(classifier)[0][:4]
    with torch.random.fork_rng(), torch.enable_grad():
        entry, calls = _watch(network, pixels)
    nn.Module.train(network, False)
    with torch.no_grad():
        expected, _ = _watch(network, pixels)
        for title, module, inputs, output in calls:
            assert torch.equal(module(*inputs), output), f"{title} is frozen and computes as if it trained"
    assert not entry.requires_grad, "frozen lower layers run with gradients"
    assert torch.equal(entry, expected), "frozen features differ in training mode"


def _watch(network: ImageClassifier, pixels: torch.Tensor) -> tuple[torch.Tensor, list[Any]]:
    """Return what enters the first layer that trains, and every call of the largest frozen modules."""
    entries: list[torch.Tensor] = []
    calls: list[Any] = []
    inputs: dict[str, list[torch.Tensor]] = {}
    handles = []

    def enter(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        entries.append(given[0].clone())

    def keep(title: str) -> Callable[..., None]:
        return lambda _, given: inputs.update({title: [value.detach().clone() for value in given]})

    def note(title: str) -> Callable[..., None]:
        return lambda module, _, output: calls.append((title, module, inputs[title], output.detach().clone()))

    # The head's own dropout may well drop: it is the head's input that counts.
    handles.append(network.head.register_forward_pre_hook(enter))
    frozen: list[str] = []
    for title, module in network.backbone.named_modules(prefix="backbone"):
        if any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            handles.append(module.register_forward_pre_hook(enter))
        parameters = list(module.parameters())
        within = any(title.startswith(f"{outer}.") for outer in frozen)
        if parameters and not within and not any(parameter.requires_grad for parameter in parameters):
            frozen.append(title)
            handles += [
                module.register_forward_pre_hook(keep(title)),
                module.register_forward_hook(note(title)),
            ]
    network(pixels)
    for handle in handles:
        handle.remove()
    return entries[0], calls
