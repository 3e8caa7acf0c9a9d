"""Prediction beside a plain timm loop, beside its bound, and with views: same photos, same network, in turns.

    python scripts/benchmark.py predict --data train.zip --weights mobilenetv2_100.safetensors

From process start to the written file, every measurement in a process of its own. Then, in one process a
round, the steady flow of pictures beside its bound: cores / (decode + engine), both in core-seconds a
picture, each measured alone. Times depend on the machine; the ratios are what carries over. The machine must
be otherwise idle.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.timing import add_what_is_measured, best_of, in_turns, python, show, show_ratio, unpack

PLAIN = (
    "fp32",
    "fp32 channels-last",
    "bf16 channels-last",
    "bf16 channels-last batch-8",
    "bf16 channels-last batch-128",
)
VIEWS = ("none", "flip", "ten")
# Enough for the first pictures, which fill the pipeline, not to count.
_WARM = 128


def main(words: Sequence[str]) -> None:
    """Measure whole processes, views and the steady flow; print medians and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("predict",))
    add_what_is_measured(parser, pictures=1000)
    parser.add_argument("--engines", nargs="+", default=["auto", "torch", "onnxruntime", "openvino"])
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        photos = unpack(options.data, options.pictures, Path(folder))
        model = Path(folder) / "model"
        _make_model(options, photos, model)
        _whole_processes(options, photos, model)
        _with_views(options, photos, model)
        _beside_the_bound(options, photos, model)


def _make_model(options: argparse.Namespace, photos: Path, model: Path) -> None:
    words = ["--data.root", str(photos), "--model.backbone", options.backbone]
    words += ["--model.weights", options.weights, "--transfer.strategy", "linear_probe"]
    words += ["--model.framing", "crop"]  # the same pixels as the plain loop
    python("-m", "catsdogs", "train", *words, "--run", str(model))


def _whole_processes(options: argparse.Namespace, photos: Path, model: Path) -> None:
    ours = {
        f"catsdogs, {engine}": partial(_predict, model, photos, "--engine", engine)
        for engine in options.engines
    }
    plain = {f"plain timm loop, {flags}": partial(_plain, options, photos, flags) for flags in PLAIN}
    for measure in ours.values():
        measure()  # once uncounted: converts the model and holds the trial, which a second run finds done
    found = in_turns({**ours, **plain}, options.rounds)
    speeds = {name: [options.pictures / seconds for seconds in values] for name, values in found.items()}
    show(f"{options.pictures:,} photos from process start to CSV, seconds", found)
    for name in ours:
        show_ratio(f"{name} / best plain", speeds[name], speeds[best_of(speeds, plain)])


def _with_views(options: argparse.Namespace, photos: Path, model: Path) -> None:
    views = {f"--tta {tta}": partial(_predict, model, photos, "--tta", tta) for tta in VIEWS}
    found = in_turns(views, options.rounds)
    show(f"{options.pictures:,} photos with views, seconds", found)
    for name in list(views)[1:]:
        show_ratio(f"{name} / --tta none", found[name], found["--tta none"])


def _beside_the_bound(options: argparse.Namespace, photos: Path, model: Path) -> None:
    for engine in options.engines:
        rounds = [_costs(model, photos, engine) for _ in range(options.rounds)]
        title = f"steady, {engine}: {rounds[0].pop('is')}"
        found = {name: [float(one[name]) for one in rounds] for name in rounds[0]}
        show(title, {name: values for name, values in found.items() if name not in ("flow", "bound")})
        show("images/s", {name: found[name] for name in ("flow", "bound")})
        show_ratio("flow / bound", found["flow"], found["bound"])


def _predict(model: Path, photos: Path, *words: str) -> float:
    """Return the seconds of ``catsdogs predict``, from process start to the written CSV."""
    place = ["--checkpoint", str(model), "--input", str(photos), "--output", str(photos.parent / "ours.csv")]
    return _seconds(lambda: python("-m", "catsdogs", "predict", *place, *words))


def _plain(options: argparse.Namespace, photos: Path, flags: str) -> float:
    place = [str(photos), options.weights, options.backbone]
    return _seconds(lambda: python("-m", "benchmarks.plainloop", "predict", *place, flags))


def _costs(model: Path, photos: Path, engine: str) -> dict[str, str]:
    words = [str(model), str(photos), engine]
    code = "import sys; from benchmarks import prediction; prediction.costs(*sys.argv[1:])"
    found: dict[str, str] = json.loads(python("-c", code, *words).splitlines()[-1])
    return found


def costs(model: str, photos: str, engine: str) -> None:
    """Print the flow of pictures, and what one costs in decoding and in the network, as JSON."""
    from catsdogs.cli.allocator import tune_allocator

    tune_allocator()
    import catsdogs
    from catsdogs.data.inputs import find_pictures
    from catsdogs.data.rendering import at_least_px, render
    from catsdogs.data.stream import read_picture
    from catsdogs.data.views import parse_views
    from catsdogs.models.choosing import available_cores

    loaded = catsdogs.load(model, engine=engine)
    records = list(find_pictures(photos))
    spec = loaded.card.preprocess
    views = parse_views("none", spec)
    needed = at_least_px(spec, views)

    def decode() -> list[object]:
        return [
            render(read_picture(record, at_least_px=needed), spec, views, None) for record in records[:_WARM]
        ]

    decode()
    of_data = _seconds(decode) / _WARM
    size = loaded.engine.batch_size
    pixels = render(read_picture(records[0], at_least_px=needed), spec, views, None).repeat(size, axis=0)
    rounds = max(1, 512 // size)
    _compute(loaded.engine, [pixels] * (rounds // 4))
    of_engine = (
        statistics.median(_compute(loaded.engine, [pixels] * rounds) for _ in range(3)) / rounds / size
    )
    cores = available_cores()
    print(
        json.dumps(
            {
                "is": f"{loaded.engine.name} {loaded.precision}",
                "decode, core-ms a picture": f"{1000 * of_data:.3f}",
                "network, core-ms a picture": f"{1000 * cores * of_engine:.3f}",
                "flow": f"{_flow(loaded.predictor().answers(records)):.1f}",
                "bound": f"{cores / (of_data + cores * of_engine):.1f}",
            }
        )
    )


def _flow(answers: Iterator[object]) -> float:
    """Return pictures a second, without the first and the last, which are alone in the pipeline."""
    started, seen = 0.0, 0
    times = []
    for batch in answers:
        seen += len(batch.records)  # type: ignore[attr-defined]
        times.append((seen, time.perf_counter()))
    first = next(number for number, (count, _) in enumerate(times) if count >= _WARM)
    (before, started), (after, ended) = times[first], times[-1]
    return (after - before) / (ended - started)


def _compute(engine: object, batches: list[object]) -> float:
    return _seconds(lambda: list(engine.stream(batches)))  # type: ignore[attr-defined]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
