import subprocess
import sys
from pathlib import Path

import pytest
from benchmark import main


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["regret", "--help"], "--strategies"),
        (["train", "--help"], "--pictures"),
        (["predict", "--help"], "--engines"),
    ],
)
def test_every_job_tells_its_options(words, option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert option in capsys.readouterr().out


def test_the_script_names_its_jobs():
    script = Path(__file__).parents[2] / "scripts" / "benchmark.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True)
    assert "regret --real" in done.stdout


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (["regret"], "--real"),
        (["regret", "--real", "nowhere"], "there is no file nowhere"),
        (["regret", "--cells", "moon-3"], "moon-3"),
        (["predict", "--pictures", "8"], "--data"),
    ],
)
def test_a_mistake_is_named_in_one_line(words, mistake, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code != 0
    told = ended.value.code if isinstance(ended.value.code, str) else capsys.readouterr().err
    assert mistake in told.splitlines()[-1]
