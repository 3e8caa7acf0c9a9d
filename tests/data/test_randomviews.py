from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.presets import PRESETS
from catsdogs.data.randomviews import RandomViews
from catsdogs.data.stream import batches
from catsdogs.data.views import parse_views

SPEC = PreprocessSpec(32, 32)


def noise(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 60, 3), dtype=np.uint8))


def test_views_differ_and_repeat() -> None:
    draw = RandomViews(SPEC, None)
    views = [draw(noise(), number) for number in range(1, 9)]
    assert len({view.tobytes() for view in views}) == 8
    again = RandomViews(SPEC, None)
    assert all((again(noise(), number) == view).all() for number, view in enumerate(views, start=1))


def test_another_picture_is_seen_otherwise() -> None:
    """The same window for all would be a fixed crop: where views look follows from the content."""
    draw = RandomViews(SPEC, {**PRESETS["none"].to_dict(), "mirror": True})
    mirrored = [
        [(draw(noise(seed), number) != draw(noise(seed), 1)).any() for number in range(1, 12)]
        for seed in range(6)
    ]
    assert len({tuple(row) for row in mirrored}) > 1


def test_drawing_leaves_the_generator_of_others_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    RandomViews(SPEC, None)(noise(), 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_that_changed_nothing_is_replaced_by_light() -> None:
    light, none = (RandomViews(SPEC, PRESETS[name].to_dict()) for name in ("light", "none"))
    mixing = RandomViews(SPEC, replace(PRESETS["none"], mixup=0.2).to_dict())
    for draw in (none, mixing, RandomViews(SPEC, None)):
        assert (draw(noise(), 3) == light(noise(), 3)).all()
    strong = RandomViews(SPEC, PRESETS["strong"].to_dict())
    assert (strong(noise(), 3) != light(noise(), 3)).any()


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_any_number_of_workers_sees_the_same(workers: int, tmp_path: Path) -> None:
    records = []
    for number in range(8):
        noise(number).save(tmp_path / f"{number}.png")
        records.append(ImageRecord(f"{number}.png", str(tmp_path), f"{number}.png"))
    draw = RandomViews(SPEC, None)
    few, many = parse_views("random:2", SPEC), parse_views("random:4", SPEC)
    expected = np.stack([[draw(noise(number), view) for view in (1, 2)] for number in range(8)])
    for views in (few, many):
        seen = [
            batch.pixels[:, :2]
            for batch in batches(records, spec=SPEC, views=views, batch_size=3, workers=workers, draw=draw)
        ]
        assert (np.concatenate(seen) == expected).all()


def test_threads_do_not_disturb_each_other() -> None:
    draw = RandomViews(SPEC, PRESETS["strong"].to_dict())
    expected = [draw(noise(number), 1) for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda number: draw(noise(number), 1), range(24)))
    assert all((one == other).all() for one, other in zip(seen, expected, strict=True))
