"""The plain loop that every tutorial has, with timm and a DataLoader and the flags of timm's scripts.

    python -m benchmarks.plainloop train|predict PHOTOS WEIGHTS BACKBONE FLAGS

FLAGS are words, such as "bf16 channels-last batch-64". Training prints images/s of its second epoch;
prediction writes a CSV beside the photos.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

PRECISIONS = ("fp32", "fp32 channels-last", "bf16 channels-last")
DEFAULT_BATCH = 32


def train(photos: str, weights: str, backbone: str, flags: str) -> float:
    """Train as timm's own script does on a CPU; return images/s of the second epoch."""
    import torch
    from timm.data import create_transform

    network, config, layout = _network(weights, backbone, flags)
    network.train()
    transform = create_transform(
        config["input_size"], is_training=True, color_jitter=0.2, mean=config["mean"], std=config["std"]
    )
    loader = _loader(photos, transform, flags, shuffle=True)
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
    return len(loader) * batch_size(flags) / seconds


def predict(photos: str, weights: str, backbone: str, flags: str) -> float:
    """Predict as timm's own script does and write a CSV; return the number of rows."""
    import torch
    from timm.data import create_transform

    network, config, layout = _network(weights, backbone, flags)
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
        for pictures, _ in _loader(photos, transform, flags, shuffle=False):
            with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in flags):
                logits = network(pictures.to(memory_format=layout))
            rows += logits.float().softmax(1).tolist()
    with (Path(photos).parent / "plain.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return len(rows)


def batch_size(flags: str) -> int:
    """Return the batch size that the flags name."""
    named = [word.removeprefix("batch-") for word in flags.split() if word.startswith("batch-")]
    return int(named[0]) if named else DEFAULT_BATCH


def _network(weights: str, backbone: str, flags: str) -> tuple[Any, dict[str, Any], Any]:
    """Return a two-class timm network with the weights, its data configuration and its memory format."""
    import timm
    import torch
    from safetensors.torch import load_file

    network = timm.create_model(backbone, num_classes=2)
    state = {key: value for key, value in load_file(weights).items() if not key.startswith("classifier")}
    network.load_state_dict(state, strict=False)
    layout = torch.channels_last if "channels-last" in flags else torch.contiguous_format
    return network.to(memory_format=layout), timm.data.resolve_model_data_config(network), layout


def _loader(photos: str, transform: Any, flags: str, *, shuffle: bool) -> Any:
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    dataset = ImageFolder(photos, transform)
    return DataLoader(dataset, batch_size(flags), shuffle=shuffle, num_workers=2, drop_last=shuffle)


if __name__ == "__main__":
    job, *place, words = sys.argv[1:]
    print({"train": train, "predict": predict}[job](*place, words))
