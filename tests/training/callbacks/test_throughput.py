"""Speed and memory are measured, and data that holds the network back is said with its remedy."""

import time

import pytest
from lightning.pytorch.callbacks import Callback
from proving import make_classifier, named_plan, train

from catsdogs.core.metricsfile import read_metrics
from catsdogs.data.datasets import FeatureRows
from catsdogs.training.callbacks import EpochLog, throughput
from catsdogs.training.callbacks.throughput import Throughput


class SlowNetwork(Callback):
    def on_before_backward(self, trainer, pl_module, loss):
        time.sleep(0.05)


def run(folder, *others, workers=0):
    said = []
    classifier = make_classifier("resnet")
    clock = Throughput(workers=workers, cores=4, say=said.append)
    log = EpochLog(folder / "metrics.csv", lambda _: None)
    train(classifier, named_plan("finetune_top", classifier, epochs=2), folder, clock, *others, log)
    return read_metrics(folder / "metrics.csv"), said


@pytest.fixture
def slow_data(monkeypatch):
    monkeypatch.setattr(throughput, "_LEAST_WAITED_S", 0.2)
    right = FeatureRows.__getitem__

    def slow(self, key):
        time.sleep(0.02)
        return right(self, key)

    monkeypatch.setattr(FeatureRows, "__getitem__", slow)


def test_slow_data_is_said_once_with_a_remedy(tmp_path, slow_data):
    rows, said = run(tmp_path)
    for row in rows:
        assert float(row["waiting_share"]) > 0.5
        assert float(row["pictures_per_s"]) < 50
    (line,) = said
    assert "waited for pictures" in line
    assert "--data.workers, 0 now" in line


def test_where_all_cores_decode_another_remedy_is_named(tmp_path, slow_data):
    assert "copies of the pictures" in run(tmp_path, workers=4)[1][0]


def test_a_slow_network_waits_for_nothing(tmp_path):
    rows, said = run(tmp_path, SlowNetwork())
    assert said == []
    for row in rows:
        assert float(row["waiting_share"]) < 0.3
        assert float(row["peak_memory_mib"]) > 50
        assert row["peak_gpu_memory_mib"] == ""
