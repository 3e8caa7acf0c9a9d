"""Every picture is judged by a model that has not learned from it, in shards where there are many."""

import numpy as np
import pytest

from catsdogs.core.errors import DataError
from catsdogs.core.records import ImageRecord
from catsdogs.models.stages import Stage
from catsdogs.transfer import outofsample
from catsdogs.transfer.features import Features
from catsdogs.transfer.labelled import Study
from catsdogs.transfer.outofsample import out_of_sample

STAGES = (Stage("1", 4, 3), Stage("top", 32, 4))
NAMES = ("cat", "dog")


def study(n, seed=0, units=None):
    """Two classes that the top tells apart, with two wrong labels."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    values = chance.normal(size=(n, 7)).astype(np.float32)
    values[:, 3:] += 4 * labels[:, None]
    labels = labels.copy()
    labels[[0, 7]] = 1 - labels[[0, 7]]
    records = tuple(ImageRecord(f"{k}", "r", f"{k}", NAMES[label]) for k, label in enumerate(labels))
    units = units or tuple(record.id for record in records)
    return Study(2, Features(records, STAGES, values), labels, units, seed)


def test_wrong_labels_are_contradicted():
    said = out_of_sample(study(120), NAMES)
    own = said.probabilities[np.arange(120), said.labels]
    assert set(np.argsort(own)[:2].tolist()) == {0, 7}


def test_shards_judge_every_picture_once_and_keep_groups_together(monkeypatch):
    monkeypatch.setattr(outofsample, "_SHARD", 50)
    looked = study(120, units=tuple(f"unit {k // 4}" for k in range(120)))
    shards = list(outofsample._shards(looked))
    assert len(shards) == 3
    units = [set(shard.units) for shard in shards]
    assert len(set().union(*units)) == sum(map(len, units)) == 30
    done = []
    said = out_of_sample(looked, NAMES, advance=done.append)
    assert sum(done) == 120
    assert sorted(said.ids, key=int) == [str(k) for k in range(120)]
    truth = {record.id: record.label for record in looked.features.records}
    assert [truth[name] for name in said.ids] == [NAMES[label] for label in said.labels]
    own = dict(zip(said.ids, said.probabilities[np.arange(120), said.labels], strict=True))
    assert set(sorted(own, key=own.__getitem__)[:2]) == {"0", "7"}


def test_a_rare_class_makes_fewer_shards(monkeypatch):
    monkeypatch.setattr(outofsample, "_SHARD", 20)
    many = study(100)
    few = many.take(np.flatnonzero((many.labels == 0) | (np.arange(100) < 9)))
    assert [len(shard.labels) for shard in outofsample._shards(few)] != []
    assert all(set(shard.labels) == {0, 1} for shard in outofsample._shards(few))


def test_too_few_pictures():
    with pytest.raises(DataError, match="too few pictures"):
        out_of_sample(study(16).take(np.array([1, 2, 4, 6])), NAMES)
