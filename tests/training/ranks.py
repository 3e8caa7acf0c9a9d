"""A script, not a test: two processes that train together, as ``test_proof_ddp.py`` starts them.

Every rank writes what it found after each epoch into the folder that the first argument names.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from proving import Digests, Witness, digest, make_classifier, named_plan, train

from catsdogs.training.averaging import AverageWeights
from catsdogs.training.optimizers import training_parameters

DDP = {"devices": 2, "strategy": "auto"}
# Family and dropout; without dropout they are held to one process too.
CASES: dict[str, tuple[str, float]] = {
    "vit with dropout": ("vit", 0.3),
    "coatnet with dropout": ("coatnet", 0.3),
    "resnet": ("resnet", 0.0),
    "efficientnet": ("efficientnet", 0.0),
    "convnext": ("convnext", 0.0),
    "vit": ("vit", 0.0),
    "swin": ("swin", 0.0),
}


def gradual(family: str, dropout: float) -> tuple[Any, Any]:
    """Return a classifier and a plan of three epochs that unfreezes in each."""
    classifier = make_classifier(family, dropout=dropout)
    return classifier, named_plan("gradual", classifier, epochs=2, frozen_epochs=1)


class Keep(Digests):
    """Keeps the checkpoint that a run killed in the second epoch would find."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Move it away; the next epoch writes another."""
        if trainer.current_epoch == 1:
            trainer.strategy.barrier()
            if trainer.is_global_zero:
                (self._folder / "last.ckpt").rename(self._folder / "cut.ckpt")


class RanksAgree(Digests):
    """Fails where two ranks have learned different things, or average them to different ones."""

    def __init__(self, average: AverageWeights | None = None) -> None:
        super().__init__()
        self._average = average

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Compare the state of all ranks."""
        super().on_train_epoch_end(trainer, pl_module)
        found: list[Any] = [None] * trainer.world_size
        if self._average is not None:
            with self._average.in_place(pl_module.classifier):
                self.found[-1] += digest(pl_module.classifier)
        torch.distributed.all_gather_object(found, self.found[-1])
        assert len(set(found)) == 1, f"ranks differ after epoch {trainer.current_epoch}"


def freeze_too_early(classifier: Any, groups: Any, plan: Any) -> None:
    """Freeze for the first epoch before DDP looks: what unfreezes later is never synchronised."""
    classifier.set_trainable(training_parameters(classifier, groups, plan, 0))
    classifier.train()


def fails(folder: Path, **mistake: Any) -> str:
    """Return what the proof says of a training with this mistake."""
    classifier, plan = gradual("resnet", 0.0)
    try:
        train(classifier, plan, folder, RanksAgree(), options=DDP, **mistake)
    except (AssertionError, RuntimeError) as error:
        return str(error).splitlines()[0]
    return "nothing"


def main(folder: Path, names: list[str]) -> None:
    """Run these cases, and the mistakes."""
    found: dict[str, Any] = {}
    for name in names:
        classifier, plan = gradual(*CASES[name])
        whole, place = Keep(folder / name), folder / name
        average = AverageWeights("ema")
        task = train(classifier, plan, place, average, Witness(plan), RanksAgree(average), whole, options=DDP)
        again, plan = gradual(*CASES[name])
        rest = Digests()
        train(again, plan, folder / f"{name}-resumed", rest, checkpoint=place / "cut.ckpt", options=DDP)
        found[name] = {"whole": whole.found, "resumed": rest.found}
        if task.global_rank == 0:
            torch.save(classifier.state_dict(), place / "trained.pt")
    found["frozen before wrapping"] = fails(folder / "early", wrapping=freeze_too_early, unfreezes=False)
    found["unused not looked for"] = fails(folder / "plain", unfreezes=False)
    (folder / f"rank{torch.distributed.get_rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
