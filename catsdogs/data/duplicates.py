"""Near duplicates: the same photo recompressed, rescaled, cropped by a few percent, or made brighter.

A perceptual hash alone cannot tell two chest X-rays apart, so similarity is only where the search begins:

1. Candidates: the 63 lowest frequencies of a thumbnail, compared with all others by their cosine. That is one
   matrix product, as fast as comparing hashes bit by bit, and it finds more: a corner crop of 5 % changes a
   quarter of the bits of a hash and leaves a cosine above 0.85.
2. Proof: one thumbnail is laid over the other (shift and scale of both axes, gain and offset, by least
   squares), and what lies between coarse shape and pixel noise must agree. Two X-rays share the shape of a
   chest but not its details.

Mirrored and rotated copies are not looked for. Thresholds were measured on photos and X-rays; see
``DETAIL_AGREEMENT``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Thumbnails = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

THUMBNAIL_PX = 48

# Correlation of details that makes two pictures one. Copies of 200 photos (JPEG quality 30, half or twice the
# size, 5 % cropped, 10 % brighter) reach 0.95 and more, copies of 100 X-rays 0.90; X-rays of two patients at
# most 0.80, two X-rays of one patient 0.88, two different cats or dogs 0.65.
DETAIL_AGREEMENT = 0.9
# Where very many pictures hang together, each like the next, only the surest pairs are believed.
SURE_AGREEMENT = 0.98
LARGE_GROUP = 20

# Below this standard deviation (of 255 levels) a picture is one colour: there is nothing to compare.
FLAT_LEVELS = 2.0

_CANDIDATE_COSINE = 0.85
_CANDIDATES_PER_PICTURE = 8
# What the proof may be asked: half a minute. Only sets where nearly everything looks alike come this far.
_MOST_CANDIDATES = 200_000
_FREQUENCIES = 8
_BLOCK = 512
_PAIRS_AT_ONCE = 256

# Least-squares steps at a quarter, half and whole of the size: the coarse find the shift, the fine refine it.
_STEPS = (3, 2, 1)
# Details at half size that a pair needs to be worth its full size.
_PROMISING = 0.7
# Largest shift and relative scale, in half sides of the picture: a crop of 10 %.
_MOST_WARP = 0.12


def is_flat(thumbnails: Thumbnails) -> npt.NDArray[np.bool_]:
    """Return bool (N,) for thumbnails (N, 48, 48): the picture is one colour, with nothing to compare."""
    flat = np.empty(len(thumbnails), dtype=np.bool_)
    for start in range(0, len(thumbnails), _BLOCK):
        levels = thumbnails[start : start + _BLOCK].astype(np.float32)
        flat[start : start + _BLOCK] = levels.std(axis=(1, 2)) < FLAT_LEVELS
    return flat


def near_groups(thumbnails: Thumbnails) -> list[list[int]]:
    """Return groups of two or more positions that show the same photo, given thumbnails uint8 (N, 48, 48).

    Pictures belong together when a chain of near duplicates links them. A chain of more than ``LARGE_GROUP``
    is taken apart again, and only pairs above ``SURE_AGREEMENT`` hold: in a set where everything looks alike,
    a chain would tie everything to everything.
    """
    pairs, agreement = near_pairs(thumbnails)
    groups: list[list[int]] = []
    for group in connected(len(thumbnails), pairs):
        if len(group) > LARGE_GROUP:
            inside = np.isin(pairs[:, 0], group) & (agreement >= SURE_AGREEMENT)
            groups.extend(connected(len(thumbnails), pairs[inside]))
        else:
            groups.append(group)
    return groups


def connected(n: int, pairs: Iterable[Iterable[int]]) -> list[list[int]]:
    """Return the groups of two or more of ``n`` positions that pairs link, directly or through others.

    Groups are ordered by their first member, members ascend.
    """
    parent = list(range(n))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    for first, second in pairs:
        low, high = sorted((root(int(first)), root(int(second))))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for position in range(n):
        members.setdefault(root(position), []).append(position)
    return [group for group in members.values() if len(group) > 1]


def near_pairs(thumbnails: Thumbnails) -> tuple[IntArray, FloatArray]:
    """Return pairs of near duplicates, int64 (P, 2), and how far their details agree, float32 (P,)."""
    pairs = _candidates(thumbnails)
    agreement = np.empty(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        agreement[start : start + len(some)] = _agreement(thumbnails[some[:, 0]], thumbnails[some[:, 1]])
    near = agreement >= DETAIL_AGREEMENT
    return pairs[near], agreement[near]


def _candidates(thumbnails: Thumbnails) -> IntArray:
    """Return pairs (P, 2) of similar pictures, the most similar where there are too many."""
    places = np.flatnonzero(~is_flat(thumbnails))
    found = spectra(thumbnails[places])
    blocks = [_most_similar(found, start) for start in range(0, len(places), _BLOCK)]
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *(pairs for pairs, _ in blocks)])
    cosines = np.concatenate([np.empty(0, dtype=np.float32), *(cosines for _, cosines in blocks)])
    return np.asarray(places[pairs[np.argsort(-cosines, kind="stable")[:_MOST_CANDIDATES]]])


def _most_similar(found: FloatArray, start: int) -> tuple[IntArray, FloatArray]:
    """Return pairs (P, 2) of a block of pictures with the few most similar later ones, and cosines (P,)."""
    cosines = found[start : start + _BLOCK] @ found[start:].T
    rows, columns = np.divmod(np.flatnonzero(cosines >= _CANDIDATE_COSINE), cosines.shape[1])
    later = columns > rows
    rows, columns = rows[later], columns[later]
    order = np.lexsort((-cosines[rows, columns], rows))
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    best = order[rank < _CANDIDATES_PER_PICTURE]
    rows, columns = rows[best], columns[best]
    return start + np.stack([rows, columns], axis=1), cosines[rows, columns]


def spectra(thumbnails: Thumbnails) -> FloatArray:
    """Return the lowest frequencies but the mean, unit length, float32 (N, 63), of uint8 (N, 48, 48)."""
    side, wave = np.arange(THUMBNAIL_PX), np.arange(_FREQUENCIES)[:, None]
    cosine = np.cos(np.pi * (side + 0.5) * wave / THUMBNAIL_PX).astype(np.float32)  # (8, 48)
    cosine[0] /= np.sqrt(2)
    found = np.empty((len(thumbnails), _FREQUENCIES**2), dtype=np.float32)
    for start in range(0, len(thumbnails), _BLOCK):
        block = cosine @ thumbnails[start : start + _BLOCK].astype(np.float32) @ cosine.T
        found[start : start + _BLOCK] = block.reshape(len(block), -1)
    found = found[:, 1:]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _agreement(first: Thumbnails, second: Thumbnails) -> FloatArray:
    """Return how well the details of pairs agree once the second is laid over the first, float32 (P,)."""
    fixed, moving = _pyramid(first), _pyramid(second)
    warp = np.zeros((len(first), 4), dtype=np.float32)
    for level in (0, 1):
        warp = _register(fixed[level], moving[level], warp, steps=_STEPS[level])
    agreement = _details_correlate(fixed[1], *_laid_over(moving[1], warp))
    worth = np.flatnonzero(agreement >= _PROMISING)
    fine = _register(fixed[2][worth], moving[2][worth], warp[worth], steps=_STEPS[2])
    agreement = np.minimum(agreement, _PROMISING)
    agreement[worth] = _details_correlate(fixed[2][worth], *_laid_over(moving[2][worth], fine))
    return agreement


def _pyramid(thumbnails: Thumbnails) -> list[FloatArray]:
    """Return the thumbnails at a quarter, half and whole of their size, float32 (P, S, S) each."""
    levels = [thumbnails.astype(np.float32)]
    while len(levels) < len(_STEPS):
        fine = levels[0]
        sums = fine[:, ::2, ::2] + fine[:, 1::2, ::2] + fine[:, ::2, 1::2] + fine[:, 1::2, 1::2]
        levels.insert(0, np.asarray(sums / 4, dtype=np.float32))
    return levels


def _register(fixed: FloatArray, moving: FloatArray, warp: FloatArray, *, steps: int) -> FloatArray:
    """Improve ``warp`` so that ``moving`` lies over ``fixed``, both (P, S, S), by Gauss-Newton steps.

    A warp is (scale x, shift x, scale y, shift y), in half sides. Gain and offset of the levels are fitted
    along and forgotten, so a brighter copy stays a copy.

    Source: Lucas and Kanade, An Iterative Image Registration Technique (1981), section 4.
    """
    side = fixed.shape[1]
    grid = _grid(side)
    for _ in range(steps):
        laid, inside = _laid_over(moving, warp)
        across, down = np.zeros_like(laid), np.zeros_like(laid)
        across[:, :, 1:-1] = (laid[:, :, 2:] - laid[:, :, :-2]) * side / 4
        down[:, 1:-1] = (laid[:, 2:] - laid[:, :-2]) * side / 4
        terms = [laid, np.ones_like(laid), grid * across, across, grid[:, None] * down, down]
        jacobian = (np.stack(terms, axis=1) * inside[:, None]).reshape(len(laid), 6, side * side)
        target = (fixed * inside).reshape(len(laid), side * side, 1)
        normal = jacobian @ jacobian.transpose(0, 2, 1)
        diagonal = np.arange(6)
        normal[:, diagonal, diagonal] = normal[:, diagonal, diagonal] * (1 + 1e-4) + 1e-2
        solution = np.linalg.solve(normal, jacobian @ target)[:, :, 0]
        gain = np.where(np.abs(solution[:, :1]) < 0.2, 1, solution[:, :1])
        warp = np.clip(warp + solution[:, 2:] / gain, -_MOST_WARP, _MOST_WARP).astype(np.float32)
    return warp


def _laid_over(moving: FloatArray, warp: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the warped pictures and where they are known, 0 or 1, both float32 (P, S, S)."""
    across, known_x = _interpolation(warp[:, 0], warp[:, 1], moving.shape[1])
    down, known_y = _interpolation(warp[:, 2], warp[:, 3], moving.shape[1])
    laid = down @ moving @ across.transpose(0, 2, 1)
    return np.asarray(laid, dtype=np.float32), (known_y[:, :, None] & known_x[:, None, :]).astype(np.float32)


def _interpolation(
    scale: FloatArray, shift: FloatArray, side: int
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return matrices (P, S, S) that sample one axis linearly, and (P, S): the sample lies in the picture."""
    place = _grid(side) * (1 + scale[:, None]) + shift[:, None]
    pixel = ((place + 1) * side - 1) / 2
    inside = (pixel >= -0.01) & (pixel <= side - 0.99)
    distance = np.abs(np.clip(pixel, 0, side - 1)[:, :, None] - np.arange(side, dtype=np.float32))
    return np.maximum(1 - distance, 0).astype(np.float32), inside


def _grid(side: int) -> FloatArray:
    """Return the centres of ``side`` pixels between -1 and 1."""
    return ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1).astype(np.float32)


def _details_correlate(fixed: FloatArray, laid: FloatArray, known: FloatArray) -> FloatArray:
    """Return the correlation of the details of two stacks (P, S, S) where both are known, float32 (P,)."""
    inner = known[:, 1:-1, 1:-1] * known[:, 2:, 1:-1] * known[:, :-2, 1:-1]
    inner = inner * known[:, 1:-1, 2:] * known[:, 1:-1, :-2]
    first, second = _centred(_details(fixed), inner), _centred(_details(laid), inner)
    power = (first * first).sum(axis=(1, 2)) * (second * second).sum(axis=(1, 2))
    return np.asarray((first * second).sum(axis=(1, 2)) / np.sqrt(power + 1e-6), dtype=np.float32)


def _details(levels: FloatArray) -> FloatArray:
    """Return levels (P, S, S), blurred and then Laplace-filtered, (P, S - 2, S - 2): no shape, no noise."""
    blurred = levels.copy()
    blurred[:, 1:-1] = (levels[:, :-2] + 2 * levels[:, 1:-1] + levels[:, 2:]) / 4
    rows = blurred.copy()
    blurred[:, :, 1:-1] = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
    around = blurred[:, 2:, 1:-1] + blurred[:, :-2, 1:-1] + blurred[:, 1:-1, 2:] + blurred[:, 1:-1, :-2]
    return np.asarray(4 * blurred[:, 1:-1, 1:-1] - around)


def _centred(levels: FloatArray, known: FloatArray) -> FloatArray:
    mean = (levels * known).sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)
    return np.asarray((levels - mean[:, None, None]) * known)
