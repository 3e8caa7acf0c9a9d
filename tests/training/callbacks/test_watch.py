"""The table of the layers: one row a group and epoch, words only when something is wrong, bits as before."""

import pytest
import torch
from proving import Digests, make_classifier, named_plan, train

from catsdogs.core.metricsfile import read_metrics
from catsdogs.models.layergroups import layer_groups
from catsdogs.training.callbacks.throughput import Throughput
from catsdogs.training.callbacks.watch import WatchLayers, sampled_steps


def watched(folder, classifier, *others, name="finetune_full", epochs=2, options=None):
    said = []
    watch = WatchLayers(folder / "watch.csv", layer_groups(classifier.backbone), said.append)
    train(classifier, named_plan(name, classifier, epochs=epochs), folder, watch, *others, options=options)
    return read_metrics(folder / "watch.csv"), said


@pytest.mark.parametrize("family", ["resnet", "vit"])
def test_every_group_has_a_row_an_epoch_and_nothing_is_said(tmp_path, family):
    classifier = make_classifier(family)
    groups = [group.name for group in layer_groups(classifier.backbone)]
    rows, said = watched(tmp_path, classifier)
    assert [(row["epoch"], row["group"]) for row in rows] == [
        (epoch, name) for epoch in "01" for name in [*groups, "head"]
    ]
    assert all(float(row["gradient_norm"]) > 0 for row in rows)
    assert all(0 < float(row["update_ratio"]) < 0.5 for row in rows)
    assert said == []


def test_what_is_frozen_has_no_gradient_to_show(tmp_path):
    rows, _ = watched(tmp_path, make_classifier("resnet"), name="finetune_top", epochs=1)
    shown = {row["group"]: bool(row["gradient_norm"]) for row in rows}
    assert shown["head"]
    assert not shown["layer1.0"]


def test_dead_units_are_said_once(tmp_path):
    classifier = make_classifier("resnet", dropout=0.0)
    with torch.no_grad():
        classifier.backbone.layer2[0].bn1.bias.fill_(-100)
    rows, said = watched(tmp_path, classifier)
    dead = [line for line in said if "never fire" in line]
    assert len(dead) == 1
    assert "backbone.layer2.0.act1" in dead[0]
    share = {row["group"]: float(row["dead_share"]) for row in rows if row["dead_share"]}
    assert share["layer2.0"] > share["layer1.0"]


def test_a_rate_that_replaces_the_weights_is_said(tmp_path):
    class Raise(Digests):
        def on_train_start(self, trainer, pl_module):
            for scheduler in trainer.lr_scheduler_configs:
                scheduler.scheduler.base_lrs = [10.0] * len(scheduler.scheduler.base_lrs)

    _, said = watched(tmp_path, make_classifier("resnet"), Raise())
    assert any("changes the weights of head" in line for line in said)


def test_looking_changes_no_bit(tmp_path):
    found, options = [], {"accumulate_grad_batches": 2}
    for name in ("bare", "watched"):
        classifier, digests = make_classifier("vit"), Digests()
        (tmp_path / name).mkdir()
        if name == "watched":
            clock = Throughput(workers=0, cores=1, say=print)
            watched(tmp_path / name, classifier, digests, clock, options=options)
        else:
            plan = named_plan("finetune_full", classifier, epochs=2)
            train(classifier, plan, tmp_path / name, digests, options=options)
        found.append(digests.found)
    assert found[0] == found[1]


def test_few_steps_are_looked_at():
    assert list(sampled_steps(1)) == [0]
    assert list(sampled_steps(7)) == [3]
    assert len(list(sampled_steps(24))) == 3
    assert len(list(sampled_steps(10_000))) == 4
    assert list(sampled_steps(44, first_process=False)) == []
