"""Measure catsdogs beside a plain timm + DataLoader loop: same photos, same network, same machine, in turns.

    python scripts/benchmark.py [train|predict] --data train.zip --weights mobilenetv2_100.safetensors

Every measurement is a process of its own. Times depend on the machine; the ratios are what carries over.
The plain loop is run with each combination of flags that timm's scripts offer, and its best one counts.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmark.py"
PLAIN_TRAINING = ("fp32", "fp32 channels-last", "bf16 channels-last")
PLAIN_PREDICTION = ("fp32", "fp32 channels-last", "bf16 channels-last")
BATCH = 32


def main(words: Sequence[str]) -> None:
    """Parse, measure in turns, print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("all", "train", "predict"), default="all")
    parser.add_argument("--data", required=True, help="zip of labelled photos in Kaggle's layout")
    parser.add_argument("--weights", required=True, help="weights file of the backbone")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--pictures", type=int, default=640, help="photos a measurement uses")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", nargs=2, metavar=("JOB", "FLAGS"), help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.plain:
        print(PLAIN_JOBS[options.plain[0]](options, options.plain[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        photos = unpack(options, Path(folder))
        if options.what in ("all", "train"):
            compare("training, images/s", options, photos, our_training, "train", PLAIN_TRAINING)
        if options.what in ("all", "predict"):
            compare(
                "prediction from start to CSV, images/s",
                options,
                photos,
                our_prediction,
                "predict",
                PLAIN_PREDICTION,
            )


def unpack(options: argparse.Namespace, folder: Path) -> Path:
    """Give both sides the same files: as many of each class, on the disk, one folder a class."""
    with zipfile.ZipFile(options.data) as archive:
        for label in ("cat", "dog"):
            names = [name for name in archive.namelist() if Path(name).name.startswith(f"{label}.")]
            target = folder / "photos" / label
            target.mkdir(parents=True)
            for name in names[: options.pictures // 2]:
                (target / Path(name).name).write_bytes(archive.read(name))
    return folder / "photos"


def compare(
    title: str,
    options: argparse.Namespace,
    photos: Path,
    ours: Callable[[argparse.Namespace, Path], float],
    job: str,
    flags: tuple[str, ...],
) -> None:
    """Measure ours and every plain variant in turns; print medians, and ours against the best plain one."""
    ours(options, photos)  # once uncounted: it fills the caches that a second run finds filled
    speeds: dict[str, list[float]] = {name: [] for name in ("catsdogs", *flags)}
    for _ in range(options.rounds):
        speeds["catsdogs"].append(ours(options, photos))
        for name in flags:
            speeds[name].append(plain(options, photos, job, name))
    print(f"\n{title} (median of {options.rounds}, lowest to highest)")
    for name, found in speeds.items():
        label = name if name == "catsdogs" else f"plain timm loop, {name}"
        print(f"  {label:<38} {statistics.median(found):8.1f}  ({min(found):.1f} to {max(found):.1f})")
    best = max(flags, key=lambda name: statistics.median(speeds[name]))
    ratios = [a / b for a, b in zip(speeds["catsdogs"], speeds[best], strict=True)]
    print(
        f"  catsdogs / best plain: {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def our_training(options: argparse.Namespace, photos: Path) -> float:
    """Return images/s of the second epoch of ``catsdogs train``, without validation."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = ["--data.root", str(photos), "--data.val_fraction", "0", "--data.test_fraction", "0"]
        words += ["--model.backbone", options.backbone, "--model.weights", options.weights]
        words += ["--transfer.strategy", "finetune_full", "--transfer.epochs", "2"]
        call("-m", "catsdogs", "train", *words, "--transfer.batch_size", str(BATCH), "--run", str(run))
        with (run / "metrics.csv").open(newline="") as stream:
            last = list(csv.DictReader(stream))[-1]
    return options.pictures // BATCH * BATCH / float(last["seconds"])


def our_prediction(options: argparse.Namespace, photos: Path) -> float:
    """Return images/s of ``catsdogs predict``, from process start to the written CSV."""
    model = photos.parent / "model"
    if not model.exists():
        words = ["--data.root", str(photos), "--model.backbone", options.backbone]
        words += ["--model.weights", options.weights, "--transfer.strategy", "linear_probe"]
        call("-m", "catsdogs", "train", *words, "--run", str(model))
    started = time.perf_counter()
    output = photos.parent / "ours.csv"
    call(
        "-m",
        "catsdogs",
        "predict",
        "--checkpoint",
        str(model),
        "--input",
        str(photos),
        "--output",
        str(output),
    )
    return options.pictures / (time.perf_counter() - started)


def plain(options: argparse.Namespace, photos: Path, job: str, flags: str) -> float:
    """Run a plain job in a process of its own; prediction is timed from outside, training by itself."""
    words = ["--data", str(photos), "--weights", options.weights, "--backbone", options.backbone]
    words += ["--pictures", str(options.pictures), "--plain", job, flags]
    started = time.perf_counter()
    printed = call(str(SCRIPT), *words)
    seconds = time.perf_counter() - started
    return float(printed.split()[-1]) if job == "train" else options.pictures / seconds


def call(*words: str) -> str:
    """Run Python with these words and return what it printed."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def plain_training(options: argparse.Namespace, flags: str) -> float:
    """Train as timm's own script does on a CPU; return images/s of the second epoch."""
    import torch
    from timm.data import create_transform

    network, config, layout = plain_network(options, flags)
    network.train()
    transform = create_transform(
        config["input_size"], is_training=True, color_jitter=0.2, mean=config["mean"], std=config["std"]
    )
    loader = plain_loader(options, transform, shuffle=True)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        for pictures, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in flags):
                loss = torch.nn.functional.cross_entropy(network(pictures.to(memory_format=layout)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - started
    return options.pictures // BATCH * BATCH / seconds


def plain_prediction(options: argparse.Namespace, flags: str) -> float:
    """Predict as timm's own script does and write a CSV; return the number of rows."""
    import torch
    from timm.data import create_transform

    network, config, layout = plain_network(options, flags)
    network.eval()
    transform = create_transform(
        config["input_size"],
        interpolation="bilinear",
        crop_pct=config["crop_pct"],
        mean=config["mean"],
        std=config["std"],
    )
    rows = []
    with torch.inference_mode():
        for pictures, _ in plain_loader(options, transform, shuffle=False):
            with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in flags):
                logits = network(pictures.to(memory_format=layout))
            rows += logits.float().softmax(1).tolist()
    with (Path(options.data).parent / "plain.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return len(rows)


PLAIN_JOBS = {"train": plain_training, "predict": plain_prediction}


def plain_network(options: argparse.Namespace, flags: str):  # type: ignore[no-untyped-def]
    """Return a two-class timm network with the weights, its data configuration and its memory format."""
    import timm
    import torch
    from safetensors.torch import load_file

    network = timm.create_model(options.backbone, num_classes=2)
    state = {
        key: value for key, value in load_file(options.weights).items() if not key.startswith("classifier")
    }
    network.load_state_dict(state, strict=False)
    layout = torch.channels_last if "channels-last" in flags else torch.contiguous_format
    return network.to(memory_format=layout), timm.data.resolve_model_data_config(network), layout


def plain_loader(options: argparse.Namespace, transform, *, shuffle: bool):  # type: ignore[no-untyped-def]
    """Return the loader that every tutorial has."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    dataset = ImageFolder(options.data, transform)
    return DataLoader(dataset, BATCH, shuffle=shuffle, num_workers=2, drop_last=shuffle)
