"""Fine-tuning on real photos: minutes of work, so it stands apart and runs beside the other tests."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.real


def test_finetuning_is_at_least_as_good(photos, backbone, unseen, figures, tmp_path):
    run = tmp_path / "full"
    words = ["--transfer.strategy", "finetune_full", "--transfer.epochs", "4", "--run", str(run)]
    done = subprocess.run(
        [sys.executable, "-m", "catsdogs", "train", "--data.root", str(photos), *backbone, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    own = figures(run, tmp_path / "own", "--tta", "flip")
    assert own["accuracy"].high > 0.985
    assert own["log_loss"].low < 0.045
    small = figures(run, tmp_path / "small", "--tta", "flip", "--input", str(unseen))
    assert small["accuracy"].value > 0.965
