"""What timm's registry knows: names, the weights that there are of them, and ``catsdogs_cnn`` among them.

Nothing here builds a network or touches the hub but the entry point that ``timm.create_model`` calls.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import timm
from torch import nn

from catsdogs.core.errors import ModelError
from catsdogs.core.printable import first_line
from catsdogs.models.cnn import CatsdogsCNN
from catsdogs.models.networkspec import CNN

# Where timm looks for what its registry says of a network that this module defines.
default_cfgs = timm.models.generate_default_cfgs(
    {
        CNN: {
            "input_size": (3, 96, 96),
            "min_input_size": (3, 32, 32),
            "pool_size": (6, 6),
            "interpolation": "bilinear",
            "crop_pct": 0.95,
            "first_conv": "stem.0.conv",
            "classifier": "fc",
        }
    }
)


@timm.models.register_model
def catsdogs_cnn(pretrained: bool = False, **options: Any) -> nn.Module:
    """Return what ``timm.create_model("catsdogs_cnn")`` does; the options are those of a ``NetworkSpec``."""
    network: nn.Module = timm.models.build_model_with_cfg(
        CatsdogsCNN, CNN, pretrained, feature_cfg={"feature_cls": "getter"}, **options
    )
    return network


def timm_version() -> str:
    """Return the version of timm, which decides what an architecture's name means."""
    return str(timm.__version__)


@dataclass(frozen=True, slots=True)
class PretrainedWeights:
    """What timm tells about the weights that a name stands for.

    Attributes:
        name: The architecture with the tag of these weights.
        license: As their authors named it, or None.
        hub_id: The hub's repository that holds them, or None.
    """

    name: str
    license: str | None
    hub_id: str | None


def architectures() -> list[str]:
    """Return the names of all of timm's architectures, without tags."""
    return list(timm.list_models())


def tagged_names() -> list[str]:
    """Return the names, with their tags, of all weights that timm can fetch."""
    return list(timm.list_pretrained())


def nearest_names(name: str, count: int = 5) -> list[str]:
    """Return the known architectures whose names are most like ``name``."""
    return difflib.get_close_matches(name.partition(".")[0], timm.list_models(), n=count, cutoff=0.5)


def require_known(name: str) -> None:
    """Refuse a backbone that timm does not have.

    Raises:
        ModelError: It does not; the message brings the nearest names.
    """
    # Only plain names: timm takes `hf-hub:...` and `local-dir:...` as places to fetch from.
    if ":" not in name and "/" not in name and timm.is_model(name.partition(".")[0]):
        return
    near = nearest_names(name)
    hint = f"; the nearest are {', '.join(near)}" if near else "; timm.list_models() names them all"
    raise ModelError(f"timm has no backbone {name!r}{hint}")


def pretrained_weights(name: str) -> PretrainedWeights | None:
    """Return the weights that ``hub`` means for a backbone; None where there are none to fetch.

    Raises:
        ModelError: timm has no such backbone, or no such weights for it.
    """
    require_known(name)
    try:
        config = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ModelError(f"timm has no weights {name!r}: {first_line(error)}") from error
    if config is None or not config.has_weights:
        return None
    full = f"{config.architecture}.{config.tag}" if config.tag else name
    return PretrainedWeights(full, config.license, config.hf_hub_id)
