"""How strongly training pictures are changed: presets, and options that override them; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from catsdogs.core.errors import ConfigError, DataError

Policy = Literal["none", "randaugment", "trivialaugment"]

_RANGES = {
    "crop": (0.01, 1.0),
    "aspect": (1.0, 10.0),
    "translation": (0.0, 1.0),
    "rotation": (0.0, 180.0),
    "shear": (0.0, 60.0),
    "perspective": (0.0, 0.45),  # of both axes together less than 1: there a corner is infinitely near
    "elastic": (0.0, 0.2),
    "brightness": (0.0, 1.0),
    "contrast": (0.0, 1.0),
    "saturation": (0.0, 1.0),
    "hue": (0.0, 0.5),
    "grey": (0.0, 1.0),
    "erasing": (0.0, 1.0),
    # Beyond these, float32 can tell the Beta distribution's draws from 0, 1 or a half no more.
    "mixup": (0.01, 100.0),
    "cutmix": (0.01, 100.0),
    "mixing_off_epochs": (0, 10**6),
}
_MAY_BE_OFF = frozenset({"mixup", "cutmix"})


@dataclass(frozen=True, slots=True)
class AugmentationSpec:
    """What happens to training pictures; as it stands it is nothing, which is the evaluation preparation.

    The attributes are those of ``AugmentationSettings``, each with a value of its own.
    """

    crop: float = 1.0
    aspect: float = 1.0
    mirror: bool = False
    translation: float = 0.0
    rotation: float = 0.0
    shear: float = 0.0
    perspective: float = 0.0
    elastic: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    policy: Policy = "none"
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    mixing_off_epochs: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that no picture can be changed by.

        Raises:
            ConfigError: One is out of range; the message names it.
        """
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            off = value == 0 and name in _MAY_BE_OFF
            if not (low <= value <= high or off):
                wanted = f"{'0, or ' if name in _MAY_BE_OFF else ''}from {low:g} to {high:g}"
                raise ConfigError(f"--augmentation.{name} must be {wanted}, not {value}")

    @property
    def mixes(self) -> bool:
        """Whether batches are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    def summary(self) -> str:
        """Return what it does in one line, such as ``crop 0.35, mirror``, or ``nothing``."""
        neutral = asdict(PRESETS["none"])
        parts = [
            name if value is True else f"{name} {value if isinstance(value, str) else f'{value:.3g}'}"
            for name, value in asdict(self).items()
            if value != neutral[name] and (self.mixes or name != "mixing_off_epochs")
        ]
        return ", ".join(parts) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AugmentationSpec:
        """Build it from the plain values of ``to_dict``.

        Raises:
            DataError: They are damaged.
        """
        try:
            return cls(**values)
        except (TypeError, ConfigError) as error:
            raise DataError(f"the plan's augmentation is damaged: {error}") from error


_LIGHT = AugmentationSpec(crop=0.35, aspect=4 / 3, mirror=True, brightness=0.2, contrast=0.2, saturation=0.2)
_MEDIUM = replace(
    _LIGHT,
    crop=0.25,
    translation=0.05,
    rotation=10.0,
    shear=5.0,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    grey=0.05,
    erasing=0.1,
)
# mixup 0.2, CutMix 1 and an automatic policy are torchvision's recipe of 2021 for ImageNet from scratch;
# TrivialAugment on top of the rest leaves pictures in which nobody could tell a cat.
_STRONG = replace(
    _MEDIUM,
    crop=0.2,
    rotation=15.0,
    shear=10.0,
    perspective=0.15,
    hue=0.05,
    grey=0.1,
    policy="randaugment",
    erasing=0.25,
    mixup=0.2,
    cutmix=1.0,
    mixing_off_epochs=1,
)
PRESETS = {"none": AugmentationSpec(), "light": _LIGHT, "medium": _MEDIUM, "strong": _STRONG}


# No slots: jsonargparse reads the defaults from __dict__.
@dataclass(frozen=True)
class AugmentationSettings:
    """How training pictures are changed, anew in every epoch; what is not given is as the preset has it.

    Attributes:
        preset: 'none', 'light', 'medium' or 'strong'; 'catsdogs preview' draws them.
        crop: Smallest share of the picture that a random crop keeps; 1 takes the crop of the evaluation.
        aspect: A random crop is wider or higher than the input by up to this factor, and then squeezed.
        mirror: Whether half of the pictures are mirrored left to right.
        translation: Largest shift, as a share of the side.
        rotation: Largest angle in degrees, either way.
        shear: Largest shear in degrees, either way, along both axes.
        perspective: Largest tilt along both axes: by this share one edge comes nearer and the other goes.
        elastic: Typical size of smooth random displacements, as a share of the side.
        brightness: Largest change, as a share.
        contrast: Largest change, as a share.
        saturation: Largest change, as a share.
        hue: Largest turn of the colour wheel, as a share of it.
        grey: Share of the pictures that lose their colours.
        policy: 'randaugment' (two random operations), 'trivialaugment' (one, of any strength) or 'none'.
        erasing: Share of the pictures in which a random rectangle is blanked.
        mixup: Alpha of mixup, which blends pairs of pictures and their labels; 0 is off.
        cutmix: Alpha of CutMix, which cuts a rectangle from one picture into another; 0 is off. With both, a
            coin decides for each batch.
        mixing_off_epochs: Number of last epochs without mixup and CutMix.
    """

    preset: Literal["none", "light", "medium", "strong"] = "light"
    crop: float | None = None
    aspect: float | None = None
    mirror: bool | None = None
    translation: float | None = None
    rotation: float | None = None
    shear: float | None = None
    perspective: float | None = None
    elastic: float | None = None
    brightness: float | None = None
    contrast: float | None = None
    saturation: float | None = None
    hue: float | None = None
    grey: float | None = None
    policy: Policy | None = None
    erasing: float | None = None
    mixup: float | None = None
    cutmix: float | None = None
    mixing_off_epochs: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no picture can be changed by.

        Raises:
            ConfigError: One is out of range, or has no effect without another; the message names it.
        """
        if self.resolved().crop == 1 and self.aspect not in (None, 1):
            raise ConfigError("--augmentation.aspect needs a random crop: give --augmentation.crop below 1")

    def resolved(self) -> AugmentationSpec:
        """Return the preset with what was given in place of its values."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        preset = PRESETS[given.pop("preset")]
        return replace(preset, **given)

    def on_features(self) -> AugmentationSpec:
        """Return what is left of it where a head learns from cached features: mixup, where it was given."""
        given = replace(self, preset="none", cutmix=None).resolved()
        return AugmentationSpec(mixup=given.mixup, mixing_off_epochs=given.mixing_off_epochs)
