"""mixup and CutMix: what is in a mixed picture is what its label says."""

import pytest
import torch
import torch.nn.functional as F

from catsdogs.data.mixing import Mixing
from catsdogs.data.presets import AugmentationSpec

PIXELS = torch.stack([torch.full((20, 30, 3), value, dtype=torch.uint8) for value in (0, 100, 200)])
LABELS = torch.tensor([0, 1, 2])


def mixed(changes, inputs=PIXELS, *, seed=0, epoch=0, step=0, rank=0):
    mixing = Mixing(changes, classes=3, seed=seed)
    return mixing(inputs, LABELS, epoch=epoch, step=step, rank=rank)


def test_mixup_blends_each_picture_with_the_one_before_it():
    for step in range(20):
        pixels, shares = mixed(AugmentationSpec(mixup=1.0), step=step)
        own = shares[0, 0]
        expected = torch.stack([own * F.one_hot(LABELS, 3)[i] for i in range(3)])
        expected += (1 - own) * F.one_hot(LABELS.roll(1), 3)
        torch.testing.assert_close(shares, expected)
        values = shares @ torch.tensor([0.0, 100.0, 200.0])
        assert pixels.dtype == torch.uint8
        assert ((pixels.float() - values[:, None, None, None]).abs() <= 0.5001).all()


def test_cutmix_pastes_a_rectangle_of_the_area_that_the_label_says():
    areas = []
    for step in range(20):
        pixels, shares = mixed(AugmentationSpec(cutmix=1.0), step=step)
        pasted = (pixels == PIXELS.roll(1, 0)).all(-1)
        assert ((pixels == PIXELS).all(-1) | pasted).all()
        area = pasted.float().mean((1, 2))
        torch.testing.assert_close(shares[LABELS, LABELS], 1 - area)
        torch.testing.assert_close(shares[LABELS, LABELS.roll(1)], area)
        rows, columns = torch.nonzero(pasted[0], as_tuple=True)
        if len(rows):
            assert pasted[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
        areas.append(float(area[0]))
    assert max(areas) - min(areas) > 0.3


def test_features_are_blended_and_not_rounded():
    features = torch.tensor([[0.0, 1.0], [0.5, 0.25], [1.0, 0.0]])
    blended, shares = mixed(AugmentationSpec(mixup=1.0), features)
    torch.testing.assert_close(blended, shares @ features)


def test_with_both_a_coin_decides():
    cuts = 0
    for step in range(40):
        pixels, _ = mixed(AugmentationSpec(mixup=1.0, cutmix=1.0), step=step)
        cuts += bool((pixels == PIXELS).all(-1).any())
    assert 10 < cuts < 30


def test_a_small_alpha_mixes_less_than_a_large_one():
    def typical(alpha):
        shares = [float(mixed(AugmentationSpec(mixup=alpha), step=step)[1][0, 0]) for step in range(60)]
        return sum(min(share, 1 - share) for share in shares) / len(shares)

    assert typical(0.1) < 0.15 < 0.2 < typical(1.0) < 0.3 < 0.4 < typical(20.0)


@pytest.mark.parametrize("changed", [{"seed": 1}, {"epoch": 1}, {"step": 1}, {"rank": 1}])
def test_it_is_drawn_from_seed_epoch_step_and_rank_alone(changed):
    changes = AugmentationSpec(mixup=1.0, cutmix=1.0)
    torch.manual_seed(1)
    first = mixed(changes)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = mixed(changes)
    assert all(map(torch.equal, first, again))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(mixed(changes, **changed)[1], first[1])


def test_it_ends_with_its_last_epoch():
    mixing = Mixing(AugmentationSpec(mixup=1.0), classes=3, seed=0, until_epoch=2)
    assert [mixing.is_on(epoch) for epoch in range(4)] == [True, True, False, False]
    assert Mixing(AugmentationSpec(mixup=1.0), classes=3, seed=0).is_on(10**6)


def test_the_given_batch_is_left_alone():
    features = torch.rand(3, 2)
    for inputs, changes in (
        (PIXELS, AugmentationSpec(mixup=1.0)),
        (PIXELS, AugmentationSpec(cutmix=1.0)),
        (features, AugmentationSpec(mixup=1.0)),
    ):
        before = inputs.clone()
        pixels, _ = mixed(changes, inputs)
        assert torch.equal(inputs, before)
        assert pixels.is_contiguous()
