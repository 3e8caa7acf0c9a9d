"""Doctor tells which engines are there and what ``--engine auto`` means here; nothing is timed."""

import pytest

from catsdogs.inference.engines import choice, converted
from catsdogs.inference.engines.choice import auto_means
from catsdogs.workflows.doctor import _versions


@pytest.fixture(autouse=True)
def undecided(monkeypatch) -> None:
    monkeypatch.delenv("CATSDOGS_ENGINE", raising=False)


def test_versions_name_every_engine_installed_or_not(monkeypatch) -> None:
    found = dict(_versions())
    assert found["openvino"][0].isdigit()
    assert found["onnxruntime"][0].isdigit()
    monkeypatch.setattr(converted.importlib.util, "find_spec", lambda _: None)
    assert dict(_versions())["openvino"] == "not installed"


def test_auto_is_what_would_really_be_tried(monkeypatch) -> None:
    monkeypatch.setattr(choice, "_has_bf16", lambda: True)
    assert "fastest of torch, onnxruntime fp32, openvino fp32, openvino bf16, by a trial" in auto_means("cpu")
    monkeypatch.setattr(choice, "_has_bf16", lambda: False)
    assert "bf16" not in auto_means("cpu")
    assert auto_means("cuda") == "torch, on cuda"
    monkeypatch.setattr(choice, "installed_engines", lambda: ())
    assert auto_means("cpu").startswith("torch: no other is installed")


def test_the_variable_wins_and_a_mistake_in_it_is_told(monkeypatch) -> None:
    monkeypatch.setenv("CATSDOGS_ENGINE", "onnxruntime")
    assert auto_means("cuda") == "onnxruntime (CATSDOGS_ENGINE)"
    monkeypatch.setenv("CATSDOGS_ENGINE", "tvm")
    assert auto_means("cpu").startswith("nothing: CATSDOGS_ENGINE='tvm' is not one of auto, torch")
