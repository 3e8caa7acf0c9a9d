"""Checks of a measurement of robustness: what must hold if its figures mean what they say.

A weak attack makes a model look strong, and a wrong scale of the pixels makes it look weak; neither shows in
a single figure. Comparisons of accuracies allow for chance: a sign test on the pictures that only one of
them got right (McNemar), shared out among the comparisons of a check.

Source: Carlini et al. 2019, "On Evaluating Adversarial Robustness", section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from catsdogs.core.predictions import FloatArray, Predictions
from catsdogs.core.robustnessreport import Check
from catsdogs.evaluation.robustness import Place, views_of

_CHANCE = 0.01
# What rounding to float32 may add to a change, in 1/255.
_ROUNDING = 1e-3

Right = npt.NDArray[np.bool_]


def check_corruptions(answers: Predictions, places: Sequence[Place]) -> tuple[Check, ...]:
    """Return whether accuracy falls with the strength of each corruption."""
    return (_falling("corruptions_monotone", _right(answers), places, sorted({name for name, *_ in places})),)


def check_shifts(answers: Predictions, places: Sequence[tuple[int, int]]) -> tuple[Check, ...]:
    """Return whether a picture that is moved by nothing has the answer of the plain one."""
    views = views_of(answers)
    still = views.logits[places.index((0, 0))]
    different = int((still.argmax(axis=1) != views.plain.argmax(axis=1)).sum())
    text = f"moved by 0 px, {different:,} of {len(answers):,} answers differ from the plain ones"
    return (Check("shift_zero_is_clean", different == 0, text),)


def check_attacks(
    answers: Predictions,
    places: Sequence[Place],
    *,
    largest: Sequence[float],
    still: Sequence[int],
    inside: bool,
) -> tuple[Check, ...]:
    """Return whether the attacks did what they may and were as strong as they must be.

    Args:
        answers: One view an attack.
        places: What the views are.
        largest: The largest change of any value under each attack, in 1/255.
        still: Pictures that each attack could not change at all.
        inside: Whether all values stayed between black and white.
    """
    views, right = views_of(answers), _right(answers)
    zeros = [i for i, (_, strength, _) in enumerate(places) if strength == 0]
    different = sum(int((views.logits[i].argmax(1) != views.plain.argmax(1)).sum()) for i in zeros)
    over = [
        f"{name} {strength:g} changed a value by {most:.4g}"
        for (name, strength, _), most in zip(places, largest, strict=True)
        if most > strength + _ROUNDING
    ]
    budget = "; ".join(over) or f"the largest change was {max(largest):.4g}/255 of {_largest(places):g}/255"
    if not inside:
        budget += "; values left [0, 1]"
    return (
        Check(
            "strength_zero_is_clean",
            different == 0,
            f"at strength 0, {different:,} of {len(zeros) * len(answers):,} answers are not the clean ones",
        ),
        Check("within_budget", not over and inside, budget),
        _moving(places, still, len(answers)),
        _falling("pgd_monotone", right, places, ["pgd"]),
        _stronger(right, places),
    )


def check_steps(few: FloatArray, many: FloatArray, labels: npt.NDArray[np.int64], words: str) -> Check:
    """Return whether an attack with many more steps finds little more.

    Args:
        few: Logits (N, C) under the attack as it was measured.
        many: Under the longer one.
        labels: True classes (N,).
        words: What was compared, such as ``PGD at 1/255 with 40 steps instead of 10``.
    """
    right, still = few.argmax(axis=1) == labels, many.argmax(axis=1) == labels
    p = _chance_of(right, still)
    text = f"{words}: {still.mean():.1%} instead of {right.mean():.1%} of {len(labels):,} pictures stay right"
    return Check("more_steps_help_little", p >= _CHANCE, text)


def _right(answers: Predictions) -> Right:
    return np.asarray(views_of(answers).logits.argmax(axis=2) == answers.labels)


def _falling(check: str, right: Right, places: Sequence[Place], names: Sequence[str]) -> Check:
    """Compare each strength with the one below it."""
    pairs = []
    for name in names:
        own = sorted((strength, i) for i, (series, strength, _) in enumerate(places) if series == name)
        pairs += [(name, low, high) for low, high in pairwise(own)]
    rises = [
        f"{name} rises from {right[low].mean():.1%} at {weak:g} to {right[high].mean():.1%} at {strong:g}"
        for name, (weak, low), (strong, high) in pairs
        if _chance_of(right[high], right[low]) < _CHANCE / len(pairs)
    ]
    fine = f"accuracy falls with strength, or rises no more than by chance ({len(pairs)} comparisons)"
    return Check(check, not rises, "; ".join(rises) or fine)


def _moving(places: Sequence[Place], still: Sequence[int], n: int) -> Check:
    """Ask whether every picture had a gradient to follow."""
    most = max(count for (_, strength, _), count in zip(places, still, strict=True) if strength > 0)
    text = f"{most:,} of {n:,} pictures have no gradient to follow: nothing attacked them"
    return Check("gradients_reach_pixels", most == 0, text if most else "every attack changed every picture")


def _stronger(right: Right, places: Sequence[Place]) -> Check:
    """Compare PGD with FGSM at the same strength."""
    rows = {(name, strength): i for i, (name, strength, _) in enumerate(places)}
    both = [strength for name, strength in rows if name == "pgd" and ("fgsm", strength) in rows]
    pairs = [(strength, rows["fgsm", strength], rows["pgd", strength]) for strength in both]
    weak = [
        f"at {strength:g}/255 PGD leaves {right[pgd].mean():.1%}, FGSM {right[fgsm].mean():.1%}"
        for strength, fgsm, pgd in pairs
        if _chance_of(right[pgd], right[fgsm]) < _CHANCE / len(pairs)
    ]
    fine = "PGD leaves no more right answers than FGSM, or no more than by chance"
    return Check("pgd_at_most_fgsm", not weak, "; ".join(weak) or fine)


def _chance_of(more: Right, less: Right) -> float:
    """Return how likely equal shares would show at least so many more right answers in the first."""
    gained, lost = int((more & ~less).sum()), int((less & ~more).sum())
    if not gained + lost:
        return 1.0
    return float(binomtest(gained, gained + lost, alternative="greater").pvalue)


def _largest(places: Sequence[Place]) -> float:
    return max(strength for _, strength, _ in places)
