"""The options of every command that applies a model: which model, which views, on what and how exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from catsdogs.cli.parsing import OneLineParser

if TYPE_CHECKING:
    from catsdogs.workflows.applyoptions import ApplyOptions

Merge = Literal["auto", "mean", "logits", "geometric", "max", "vote"]


def add_model(parser: OneLineParser) -> None:
    """Let a command take ``--config`` and ``--checkpoint``."""
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--checkpoint",
        type=str,
        default="embedded",
        help="Run folder or model folder; by default the cats-and-dogs classifier that catsdogs carries.",
    )


def add_labelled_input(parser: OneLineParser) -> None:
    """Let a command that judges or learns take ``--input``."""
    parser.add_argument(
        "--input",
        type=str | None,
        default=None,
        help="Labelled folder, zip or manifest.csv from outside the run.",
    )


def add_views(parser: OneLineParser, *, default: str = "none") -> None:
    """Let a command take ``--tta``."""
    parser.add_argument(
        "--tta",
        type=str,
        default=default,
        help="Views to merge: none, flip, five, ten, scales:256,320, resnet, random:8, dense, dense:448, or "
        "a product such as scales:256,320xflip.",
    )


def add_merge(parser: OneLineParser) -> None:
    """Let a command take ``--tta_merge``."""
    parser.add_argument(
        "--tta_merge",
        type=Merge,
        default="auto",
        help="How views are merged; auto: mean of probabilities, weighted where 'tta fit' has learned to.",
    )


def add_machine(parser: OneLineParser) -> None:
    """Let a command take ``--engine``, ``--precision``, ``--devices`` and ``--workers``."""
    parser.add_argument(
        "--engine",
        type=str,
        default="auto",
        help="auto (the fastest installed, by a short trial), torch, compile, onnxruntime or openvino.",
    )
    parser.add_argument("--precision", type=str, default="auto", help="auto (a short trial), fp32 or bf16.")
    parser.add_argument("--devices", type=int, default=1, help="Processes or GPUs that share the pictures.")
    parser.add_argument(
        "--workers", type=int | None, default=None, help="Decoding threads (default: the cores)."
    )


def apply_options(options: Any) -> ApplyOptions:
    """Return the ``ApplyOptions`` that a parsed command line holds."""
    from catsdogs.workflows.applyoptions import DEFAULTS, ApplyOptions

    return ApplyOptions(
        tta=options.tta,
        merge=options.get("tta_merge", DEFAULTS.merge),
        engine=options.engine,
        precision=options.precision,
        workers=options.workers,
        devices=options.devices,
    )
