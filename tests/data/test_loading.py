"""Loading processes begin with nothing of this one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.core.records import ImageRecord
from catsdogs.data.augmentation import Augmentation
from catsdogs.data.datasets import AugmentedPictures, LabelledPictures, PreparedPictures
from catsdogs.data.loading import calm_loader, loading_context
from catsdogs.data.presets import PRESETS

SPEC = PreprocessSpec(32, 32)


@pytest.fixture
def pictures(tmp_path: Path) -> LabelledPictures:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "one.png")
    return LabelledPictures((ImageRecord("one.png", str(tmp_path), "one.png"),), (1,))


@pytest.mark.parametrize("preset", PRESETS)
def test_examples_are_the_same_in_a_process_of_their_own(preset: str, pictures: LabelledPictures) -> None:
    augmented = AugmentedPictures(pictures, SPEC, Augmentation(SPEC, PRESETS[preset], seed=0))
    keys = [(0, 0), (3, 0)]
    for key, (pixels, label) in zip(keys, _loader(augmented, keys), strict=True):
        here, _ = augmented[key]
        assert (pixels == here).all()
        assert label == 1


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what a process holds"
)
def test_a_process_holds_none_of_this_ones_memory(pictures: LabelledPictures) -> None:
    held = np.ones(500 * 2**20, dtype=np.uint8)
    loader = iter(_loader(PreparedPictures(pictures, SPEC), [0]))
    next(loader)
    theirs = _anonymous_mib(loader._workers[0].pid)
    assert theirs < 500 <= _anonymous_mib("self")
    del held


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> tuple[int, Path]:
    """The id of a loading process whose loader was killed among a stranger's files, and where that was."""
    folder = tmp_path_factory.mktemp("killed")
    strangers = folder / "strangers"
    strangers.mkdir()
    for name in ("multiprocessing", "selectors", "torch", "PIL"):
        (strangers / f"{name}.py").write_text("open('ran', 'w')")
    script = folder / "script.py"
    script.write_text("""
import os, signal
import torch
from torch.utils.data import DataLoader
from catsdogs.data.datasets import FeatureRows
from catsdogs.data.loading import calm_loader, loading_context
if __name__ == "__main__":
    rows = FeatureRows(torch.zeros(9, 1), [0] * 9)
    options = dict(worker_init_fn=calm_loader, multiprocessing_context=loading_context())
    loader = iter(DataLoader(rows, sampler=[(0, 0)] * 9, batch_size=1, num_workers=1, **options))
    next(loader)
    print(loader._workers[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
""")
    told = folder / "pid"  # a pipe would be kept open by what should end
    with told.open("w") as stream:
        subprocess.run([sys.executable, str(script)], cwd=strangers, stdout=stream, timeout=60)
    return int(told.read_text()), strangers


def test_they_end_with_the_process_that_was_killed(killed: tuple[int, Path]) -> None:
    deadline = time.monotonic() + 20
    while _runs(killed[0]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(killed[0])


def test_what_lies_in_the_current_folder_does_not_run(killed: tuple[int, Path]) -> None:
    assert not (killed[1] / "ran").exists()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _loader(dataset, keys) -> DataLoader:
    return DataLoader(
        dataset,
        sampler=keys,
        batch_size=None,
        num_workers=1,
        worker_init_fn=calm_loader,
        multiprocessing_context=loading_context(),
    )


def _anonymous_mib(pid: object) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:")) // 1024
