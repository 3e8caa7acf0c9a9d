"""How near training comes to what the processor could do: throughput beside its bound, in one run.

    python scripts/benchmark.py bound --data train.zip --weights mobilenetv2_100.safetensors

The bound is cores / (decode and augmentation + step), both in core-seconds a picture, each measured alone:
the data on one core, the step on all of them, as it is trained. A ratio near 1 means that neither waits for
the other. What the step loses between its own threads is said apart. The machine must be otherwise idle.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.timing import python

_STEPS = 6


def main(words: Sequence[str]) -> None:
    """Train for some epochs, then measure both costs alone, and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("bound",))
    parser.add_argument("--data", required=True, help="labelled photos")
    parser.add_argument("--weights", required=True, help="weights of the backbone")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--preset", default="light", help="of the augmentation")
    parser.add_argument("--epochs", type=int, default=3, help="the first is not counted")
    parser.add_argument("--pictures", type=int, default=200, help="that decoding is measured on")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        _train(options, run)
        with (run / "metrics.csv").open(newline="") as stream:
            epochs = list(csv.DictReader(stream))[1:]
        reached = statistics.median(float(row["pictures_per_s"]) for row in epochs)
        waiting = statistics.median(float(row["waiting_share"]) for row in epochs)
        words = [str(run), str(options.pictures)]
        printed = python("-c", "import sys; from benchmarks import bound; bound.costs(*sys.argv[1:])", *words)
    cores, data, step, alone = map(float, printed.split()[-4:])
    bound = cores / (data + step)
    print(f"decode and augmentation {1000 * data:6.2f} core-ms a picture ({options.preset})")
    print(f"step                    {1000 * step:6.2f} core-ms a picture")
    print(f"step on one core        {1000 * alone:6.2f} core-ms a picture")
    print(f"bound                   {bound:6.1f} pictures/s on {cores:.0f} cores")
    print(f"reached                 {reached:6.1f} pictures/s ({waiting:.0%} of the time without a batch)")
    print(f"ratio                   {reached / bound:6.2f}")
    print(f"of the one-core bound   {reached * (data + alone) / cores:6.2f}")


def _train(options: argparse.Namespace, run: Path) -> None:
    words = ["--data.root", options.data, "--data.val_fraction", "0", "--data.test_fraction", "0"]
    words += ["--model.backbone", options.backbone, "--model.weights", options.weights]
    words += ["--transfer.strategy", "finetune_full", "--transfer.epochs", str(options.epochs)]
    python("-m", "catsdogs", "train", *words, "--augmentation.preset", options.preset, "--run", str(run))


def costs(run: str, pictures: str) -> None:
    """Print cores, and core-seconds a picture of a run's data, of its step, and of a step on one core."""
    import torch

    from catsdogs.cli.allocator import tune_allocator
    from catsdogs.models.choosing import available_cores
    from catsdogs.models.layergroups import layer_groups
    from catsdogs.models.modelfile import load_model
    from catsdogs.training.optimizers import training_parameters
    from catsdogs.training.recipe import Recipe
    from catsdogs.training.trial import TrainingSpeed, training_step
    from catsdogs.transfer.strategies import FreezePlan
    from catsdogs.workflows.data import training_data
    from catsdogs.workflows.runfolder import RunFolder
    from catsdogs.workflows.settingsfile import read_settings

    tune_allocator()
    folder = RunFolder(Path(run))
    plan = folder.read_plan()
    recipe = Recipe.from_dict(plan["recipe"])
    classifier, card = load_model(folder.start)
    classifier.frozen_statistics = plan["frozen_statistics"]
    data = training_data(plan, recipe, card, read_settings(folder), folder)
    phases = FreezePlan.from_list(plan["freeze_plan"])
    step = training_step(
        classifier,
        card.preprocess,
        TrainingSpeed(**plan["training_speed"]),
        trainable=training_parameters(classifier, layer_groups(classifier.backbone), phases),
        batch_size=recipe.batch_size,
        device="cpu",
    )
    count = int(pictures)
    cores = available_cores()
    of_step = cores * _seconds(step, _STEPS) / recipe.batch_size
    torch.set_num_threads(1)
    alone = _seconds(step, _STEPS) / recipe.batch_size
    of_data = _seconds(lambda: data.first_examples(count), 2) / count
    print(cores, of_data, of_step, alone)


def _seconds(work: Callable[[], object], times: int) -> float:
    """Return the median of some runs after an uncounted one, in seconds."""
    work()
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
