"""The options about views that several commands share."""

from __future__ import annotations

from typing import Literal

from catsdogs.cli.parsing import OneLineParser

Merge = Literal["auto", "mean", "logits", "geometric", "max", "vote"]


def add_view_options(parser: OneLineParser, *, default: str = "none") -> None:
    """Let a command take ``--tta`` and ``--tta_merge``."""
    add_tta(parser, default=default)
    parser.add_argument(
        "--tta_merge",
        type=Merge,
        default="auto",
        help="How views are merged; auto: mean of probabilities, weighted where 'tta fit' has learned to.",
    )


def add_tta(parser: OneLineParser, *, default: str) -> None:
    """Let a command take ``--tta``."""
    parser.add_argument(
        "--tta",
        type=str,
        default=default,
        help="Views to merge: none, flip, five, ten, scales:256,320, resnet, random:8, dense, dense:448, or "
        "a product such as scales:256,320xflip.",
    )
