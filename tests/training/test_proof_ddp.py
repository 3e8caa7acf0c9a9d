"""Two processes across an unfreezing: they agree, equal one process, and can be killed and resumed."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from proving import train
from ranks import CASES, gradual

SCRIPT = Path(__file__).with_name("ranks.py")
MISTAKES = {"frozen before wrapping": "ranks differ after epoch 1", "unused not looked for": "It looks like"}


def launch(folder, *cases):
    """Return what each of both ranks found."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *cases],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def assert_two_learn_as_one(folder, case, ranks):
    """Hold what the ranks found to each other, to their own resumed run, and to one process."""
    first, second = (found[case]["whole"] for found in ranks)
    assert first == second, f"{case}: ranks differ"
    assert len(set(first)) == 3
    for found in ranks:
        assert found[case]["resumed"] == first[1:], (
            f"{case}: resumed at an unfreezing, it learned another thing"
        )
    if not CASES[case][1]:
        check_against_one_process(folder, case)


def check_against_one_process(folder, case):
    """A single step in another direction would differ by the rate, 1e-3."""
    alone, plan = gradual(*CASES[case])
    fresh = copy.deepcopy(alone.state_dict())
    train(alone, plan, folder / "alone")
    together = torch.load(folder / case / "trained.pt", weights_only=True)
    torch.testing.assert_close(together, dict(alone.state_dict()), rtol=0, atol=2e-5)
    moved = [(fresh[name] - value).abs().max() for name, value in alone.named_parameters()]
    assert min(moved) > 1e-4, case


def test_two_processes_agree_resume_and_equal_one_and_mistakes_are_seen(tmp_path):
    """One launch for all: it is the processes that take the time."""
    cases = ("vit with dropout", "resnet")
    ranks = launch(tmp_path, *cases)
    for case in cases:
        assert_two_learn_as_one(tmp_path, case, ranks)
    for mistake, said in MISTAKES.items():
        assert all(found[mistake].startswith(said) for found in ranks), ranks[0][mistake]


@pytest.mark.slow
def test_two_processes_of_every_family(tmp_path):
    ranks = launch(tmp_path, *CASES)
    for case in CASES:
        assert_two_learn_as_one(tmp_path, case, ranks)
