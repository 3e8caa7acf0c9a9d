"""Which pictures a step sees."""

from collections import Counter

import pytest

from catsdogs.data.samplers import EpochBatchSampler, ShareSampler


def epoch(sampler, number):
    sampler.set_epoch(number)
    return list(sampler)


def test_an_epoch_is_a_pure_function_of_seed_and_epoch():
    first = EpochBatchSampler(50, batch_size=8, seed=3)
    second = EpochBatchSampler(50, batch_size=8, seed=3)
    epoch(first, 0)
    assert epoch(first, 5) == epoch(second, 5)
    assert epoch(first, 5) != epoch(first, 6)
    assert epoch(first, 5) != epoch(EpochBatchSampler(50, batch_size=8, seed=4), 5)


def test_items_carry_the_epoch_and_no_picture_occurs_twice():
    batches = epoch(EpochBatchSampler(50, batch_size=8, seed=0), 7)
    items = [item for batch in batches for item in batch]
    assert {number for number, _ in items} == {7}
    indices = [index for _, index in items]
    assert len(set(indices)) == len(indices) == 48
    assert all(len(batch) == 8 for batch in batches)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_ranks_share_the_global_batch_of_one_process(ranks):
    alone = epoch(EpochBatchSampler(60, batch_size=12, seed=1), 2)
    shares = [
        epoch(EpochBatchSampler(60, batch_size=12, seed=1, rank=rank, ranks=ranks), 2)
        for rank in range(ranks)
    ]
    for step, batch in enumerate(alone):
        together = [item for share in shares for item in share[step]]
        assert sorted(together) == sorted(batch)
        assert {len(share[step]) for share in shares} == {12 // ranks}


def test_a_set_smaller_than_a_batch_is_one_batch():
    assert [len(batch) for batch in epoch(EpochBatchSampler(5, batch_size=32, seed=0), 0)] == [5]
    halves = [epoch(EpochBatchSampler(5, batch_size=32, seed=0, rank=r, ranks=2), 0) for r in (0, 1)]
    assert [[len(batch) for batch in half] for half in halves] == [[2], [2]]


def test_more_ranks_than_a_batch_give_no_steps():
    assert len(EpochBatchSampler(100, batch_size=2, seed=0, ranks=4)) == 0


def test_lightning_finds_set_epoch():
    sampler = EpochBatchSampler(10, batch_size=2, seed=0)
    assert sampler.sampler is sampler


@pytest.mark.parametrize(("pictures", "ranks"), [(101, 2), (1, 2), (1, 5), (12, 3), (2, 3), (7, 1)])
def test_every_picture_counts_once_and_no_rank_waits(pictures, ranks):
    shares = [list(ShareSampler(pictures, rank=rank, ranks=ranks)) for rank in range(ranks)]
    assert len({len(share) for share in shares}) == 1
    counted = [position for share in shares for position in share if position >= 0]
    assert sorted(counted) == list(range(pictures))
    repeated = [-1 - position for share in shares for position in share if position < 0]
    assert all(0 <= index < pictures for index in repeated)


class TestBalanced:
    """40 pictures of class 0, 8 of class 1, 2 of class 2."""

    CLASSES = (0,) * 40 + (1,) * 8 + (2,) * 2

    def drawn(self, number=0, **options):
        given = {"batch_size": 10, "seed": 0, "balance": self.CLASSES, **options}
        return [item for batch in epoch(EpochBatchSampler(50, **given), number) for item in batch]

    def test_every_class_is_drawn_as_often(self):
        for number in range(5):
            counts = Counter(self.CLASSES[index % 50] for _, index in self.drawn(number))
            assert sum(counts.values()) == 50
            assert max(counts.values()) - min(counts.values()) <= 1

    def test_the_pictures_of_a_class_take_turns_and_no_two_draws_are_one(self):
        indices = [index for _, index in self.drawn()]
        assert len(set(indices)) == 50, "two crops of a picture would be the same"
        times = Counter(index % 50 for index in indices)
        assert {times[index] for index in (48, 49)} <= {8, 9}
        assert {times[index] for index in range(40, 48)} <= {2, 3}
        assert {times[index] for index in range(40)} <= {0, 1}

    def test_ranks_share_what_one_process_draws_and_epochs_differ(self):
        shares = [self.drawn(3, rank=rank, ranks=2) for rank in (0, 1)]
        assert sorted(shares[0] + shares[1]) == sorted(self.drawn(3))
        assert not set(shares[0]) & set(shares[1])
        assert self.drawn(3) == self.drawn(3)
        assert [index for _, index in self.drawn(3)] != [index for _, index in self.drawn(4)]
