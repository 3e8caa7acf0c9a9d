"""What the repository promises about itself: configs parse, the README's commands and map are true."""

import re
import tomllib
from pathlib import Path

import pytest

import catsdogs
from catsdogs.cli.main import COMMANDS
from catsdogs.cli.train import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("config", sorted(path.name for path in (ROOT / "configs").glob("*.yaml")))
def test_every_config_parses_and_says_what_it_is_for(config):
    path = ROOT / "configs" / config
    request = parse(["--config", str(path), "--run", "x"])
    assert not request.resumed
    assert request.settings.transfer.strategy in path.read_text()
    for heading in ("# Purpose:", "# Command:", "# Expect:"):
        assert heading in path.read_text()


def commands(name):
    """The words behind every call of a script in the README, without what stands for 'and so on'."""
    for line in README.splitlines():
        found = re.search(rf"(?:scripts/{name}\.py|catsdogs {name}) ([^#`(]*)", line)
        if found:
            yield [word for word in found[1].split() if word != "..."]


@pytest.mark.parametrize("words", list(commands("train")), ids=" ".join)
def test_the_readmes_training_commands_parse(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert parse(words).path.name in {Path(word).name for word in words}


def test_the_readmes_map_names_folders_that_exist():
    tree = README.partition("## Where things are")[2].partition("```")[2].partition("```")[0]
    named = [word for line in tree.splitlines() for word in line.split("  ")[0].split()]
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_link_of_the_readme_leads_somewhere():
    targets = re.findall(r"\]\((?!https)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_version_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert catsdogs.__version__ == project["version"]


def test_the_public_surface():
    assert sorted(catsdogs.__all__) == ["__version__", "load"]
    commands = {"train", "plan", "preview", "capacity", "evaluate", "predict", "backbones", "draw"}
    commands |= {"cache", "compare", "demo", "diagnose", "doctor", "ensemble", "explain", "export", "labels"}
    assert set(COMMANDS) == commands | {"report", "robustness", "tta", "tune"}
    with pytest.raises(AttributeError):
        _ = catsdogs.nothing


def test_nothing_is_called_after_what_it_is_not():
    vague = {"utils", "helpers", "common", "misc"}
    assert not [path for path in (ROOT / "catsdogs").rglob("*.py") if path.stem in vague]
