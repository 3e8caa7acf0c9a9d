"""Which position is taken: the best where pictures can tell, half way where there are none."""

import math

import pytest

from catsdogs.core.interpolation import END, POSITIONS, Interpolation, best_position

FALLING = {place: 0.2 - 0.1 * place for place in POSITIONS}
RISING = {place: 0.1 + 0.1 * place for place in POSITIONS}


def test_without_pictures_it_is_half_way():
    assert best_position(FALLING, 0) == best_position(RISING, 0) == 0.5


@pytest.mark.parametrize(("losses", "best"), [(FALLING, END), (RISING, POSITIONS[0])])
def test_enough_pictures_have_their_way_and_a_few_move_it_less(losses, best):
    found = [best_position(losses, pictures) for pictures in (0, 20, 60, 1000)]
    assert found[-1] == best
    away = [abs(place - 0.5) for place in found]
    assert away == sorted(away)


def test_nothing_that_is_not_finite_is_taken():
    assert best_position({0.5: math.nan, 0.8: 0.4, 1.0: math.inf}, 10) == 0.8
    assert best_position({0.5: math.nan, 1.0: math.nan}, 10) == END


def test_it_is_read_as_it_was_written():
    found = Interpolation(0.35, 120, {0.35: 0.2, 1.0: 0.3})
    assert Interpolation.from_dict(found.to_dict()) == found


def test_the_sentence_tells_what_was_kept_and_by_what():
    assert "35% of the way" in Interpolation(0.35, 1200, {0.35: 0.2, 1.0: 0.3}).sentence
    assert "0.2000 on 1,200 held-out pictures" in Interpolation(0.35, 1200, {0.35: 0.2, 1.0: 0.3}).sentence
    assert "too close" in Interpolation(0.5, 6, {0.5: 0.4, 1.0: 0.3}).sentence
    assert "stay as they are" in Interpolation(END, 1200, {0.35: 0.4, 1.0: 0.3}).sentence
    assert "as asked" in Interpolation(0.35, 0, {}).sentence
