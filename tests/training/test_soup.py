"""Soups: which epochs are kept, and which go into it."""

import pytest
import torch
from small import learn, points

from catsdogs.training.soup import BestEpochs, greedy_soup

TENSORS = {
    0: {"w": torch.tensor([1.0, 0.0]), "n": torch.tensor(3)},
    1: {"w": torch.tensor([0.0, 1.0]), "n": torch.tensor(4)},
    2: {"w": torch.tensor([9.0, 9.0]), "n": torch.tensor(5)},
    3: {"w": torch.tensor([0.5, 0.5]), "n": torch.tensor(6)},
}


def distance(tensors):
    return float((tensors["w"] - torch.tensor([0.5, 0.5])).abs().sum())


def test_an_epoch_goes_in_where_the_mean_is_no_worse():
    """Wortsman et al. 2022, recipe 1: the third would spoil it, and the mean is of what is in it."""
    kept = [(1.0, 0), (1.0, 1), (17.0, 2), (18.0, 3)]
    soup, epochs, loss = greedy_soup(kept, TENSORS.__getitem__, distance)
    assert epochs == [0, 1, 3]
    torch.testing.assert_close(soup["w"], torch.tensor([0.5, 0.5]))
    assert (int(soup["n"]), loss) == (3, pytest.approx(0, abs=1e-6))


def test_alone_the_best_stays():
    soup, epochs, loss = greedy_soup([(1.0, 0), (9.0, 2)], TENSORS.__getitem__, distance)
    assert (epochs, loss) == ([0], 1.0)
    assert torch.equal(soup["w"], TENSORS[0]["w"])


def test_the_best_epochs_are_kept_and_known_after_a_resume(tmp_path):
    saved, tidied = [], []
    best = BestEpochs(2, lambda task, epoch: saved.append(epoch), lambda kept: tidied.append(set(kept)))
    learn(tmp_path, best, val=points(1, flipped=True), epochs=4)
    assert [epoch for _, epoch in best.kept] == [0, 1], "validation gets worse with every epoch"
    assert saved == [0, 1]
    assert tidied == [set(), {0}, {0, 1}, {0, 1}]
    again = BestEpochs(2, lambda *_: None, lambda _: None)
    again.load_state_dict(best.state_dict())
    assert again.kept == best.kept
