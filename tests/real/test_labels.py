"""Planted label errors among real photos are found."""

from dataclasses import replace

import numpy as np
import pytest

from catsdogs.cli.main import main
from catsdogs.data.layouts import names_of_classes
from catsdogs.data.splits import SPLITS, read_split
from catsdogs.evaluation.labelcheck import check_labels
from catsdogs.transfer.outofsample import out_of_sample
from catsdogs.workflows.prepare import study_of
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.settingsfile import read_settings

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def study(photos, backbone, tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("runs") / "probe")
    words = ["--data.root", str(photos), "--transfer.strategy", "linear_probe", "--run", str(run.path)]
    assert main(["train", *backbone, *words]) == 0
    records = read_split(run.split)
    return study_of(read_settings(run), names_of_classes(records), records, run, splits=SPLITS)[1]


def test_of_2_percent_flipped_labels_80_percent_are_in_the_first_3_percent_of_the_list(study):
    n = len(study.labels)
    flips, room = round(0.02 * n), round(0.03 * n)
    ids = np.array([record.id for record in study.features.records])
    for seed in range(3):
        flipped = np.random.default_rng(seed).choice(n, flips, replace=False)
        labels = study.labels.copy()
        labels[flipped] = 1 - labels[flipped]
        said = out_of_sample(replace(study, labels=labels), ("cat", "dog"))
        check, doubts = check_labels(said, {}, origin="a test")
        first = {doubt.id for doubt in doubts[:room]}
        assert len(first & set(ids[flipped].tolist())) >= 0.8 * flips
        assert check.errors.low <= flips <= check.errors.high
