"""``catsdogs capacity``."""

from __future__ import annotations

from pathlib import Path

from catsdogs.cli.allocator import tune_allocator
from catsdogs.cli.parsing import OneLineParser, command_parser
from catsdogs.core.errors import ConfigError
from catsdogs.core.interrupts import Terminated
from catsdogs.core.nesting import nested
from catsdogs.workflows.settings import TrainSettings, sections

_WIDTHS = "4,8,16,32"
# Few and small drawings, so that the picture is there in a minute or two; many of them validate, since it
# is their loss that is compared.
_DEFAULTS = {
    "data.root": "drawn:cat,dog?per_class=250&size=64",
    "data.val_fraction": 0.4,
    "data.test_fraction": 0.1,
    "model.backbone": "catsdogs_cnn",
    "model.weights": "none",
    "model.input_size": 32,
    "transfer.strategy": "from_scratch",
    "transfer.epochs": 20,
    "transfer.patience_epochs": 0,
}


def run(arguments: list[str]) -> None:
    """Parse the command line and sweep."""
    values = _parser().parse_args(arguments).as_dict()
    if values["widths"] and values["depths"]:
        raise ConfigError("a sweep changes one thing: give --widths or --depths, not both")
    option = "depth" if values["depths"] else "width"
    sizes = _sizes(values[f"{option}s"] or _WIDTHS, option)
    tune_allocator()
    from catsdogs.workflows.capacity import sweep_capacity

    settings = nested(TrainSettings, {name: values[name] for name in ("seed", *sections())})
    try:
        sweep_capacity(settings, Path(values["out"]), option=option, sizes=sizes, seeds=values["seeds"])
    except (KeyboardInterrupt, Terminated):
        print("\ngo on with the same command", flush=True)
        raise


def _parser() -> OneLineParser:
    parser = command_parser(
        "capacity",
        "Train catsdogs_cnn from scratch at several sizes and draw training and validation loss against the "
        "number of parameters: where it underfits, and where it overfits.",
    )
    parser.add_argument("--config", action="config", help="Take options from a YAML file; later ones win.")
    parser.add_argument(
        "--widths", type=str | None, default=None, help=f"Sizes to train (default: {_WIDTHS})."
    )
    parser.add_argument(
        "--depths", type=str | None, default=None, help="Blocks in each stage, such as 1,2,4, in their place."
    )
    parser.add_argument("--seeds", type=int, default=1, help="Runs of each size, with consecutive seeds.")
    parser.add_argument(
        "--out", type=str, default="runs/capacity", help="Folder of the runs and the results."
    )
    parser.add_argument("--seed", type=int, default=0, help="The first one.")
    for name, settings in sections().items():
        parser.add_class_arguments(settings, name)
    parser.set_defaults(_DEFAULTS)
    return parser


def _sizes(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{option}s takes whole numbers with commas between them, not {text!r}") from None
