"""How a network wants its pictures: timm's word, a file's, the user's, the later the stronger."""

from pathlib import Path

import pytest
import timm
from safetensors.torch import save_file

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import create_backbone
from catsdogs.models.preprocessing import largest_square, timm_spec

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenetv2_100", PreprocessSpec(224, 224, 0.875, interpolation="bicubic")),
        ("inception_v3", PreprocessSpec(299, 299, 0.875, mean=(0.5,) * 3, std=(0.5,) * 3)),
        ("resnet50.tv_in1k", PreprocessSpec(224, 224, 0.875, interpolation="bilinear")),
        (
            "convnext_base.clip_laion2b_augreg_ft_in12k_in1k_384",
            PreprocessSpec(384, 384, 1.0, "squash", mean=CLIP_MEAN, std=CLIP_STD),
        ),
    ],
)
def test_is_timms_own(name: str, expected: PreprocessSpec) -> None:
    network = create_backbone("test_resnet")[0]
    network.pretrained_cfg = timm.get_pretrained_cfg(name).to_dict()
    assert timm_spec(network) == expected


def test_modes_that_are_not_for_evaluation_get_the_nearest_that_is() -> None:
    network = create_backbone("test_resnet")[0]
    network.pretrained_cfg |= {"interpolation": "random", "crop_mode": "border"}
    assert (timm_spec(network).interpolation, timm_spec(network).crop_mode) == ("bilinear", "center")


def _network(name: str):
    network = create_backbone("test_resnet")[0]
    network.pretrained_cfg = timm.get_pretrained_cfg(name).to_dict()
    return network


@pytest.mark.parametrize(
    ("name", "side_px"),
    [
        ("mobilenetv2_100", 256),  # 224 / 0.875
        ("inception_v3", 352),  # 299 / 0.875, in steps of 32
        ("resnet50.a1_in1k", 288),  # the size at which timm tests it
    ],
)
def test_the_largest_square_has_the_scale_that_the_weights_know(name: str, side_px: int) -> None:
    network = _network(name)
    own = timm_spec(network)
    square = PreprocessSpec(side_px, side_px, 1.0, "center", own.interpolation, own.mean, own.std)
    assert largest_square(own, network) == square


@pytest.mark.parametrize(
    "name",
    [
        "vit_base_patch16_224.augreg_in21k_ft_in1k",  # takes one size only
        "convnext_base.clip_laion2b_augreg_ft_in12k_in1k_384",  # squeezes already
    ],
)
def test_some_networks_keep_their_own_framing(name: str) -> None:
    network = _network(name)
    assert largest_square(timm_spec(network), network) == timm_spec(network)


def test_framing_comes_after_the_metadata_and_before_the_size(tmp_path: Path, state) -> None:
    path = str(tmp_path / "w.safetensors")
    save_file(state, path, metadata={"input_size": "3,56,84", "crop_pct": "0.875"})
    framed = create_backbone("test_resnet", path, framing="square")[1]
    assert (framed.height_px, framed.width_px, framed.crop_fraction) == (64, 96, 1.0)
    sized = create_backbone("test_resnet", path, framing="square", input_size=32)[1]
    assert (sized.height_px, sized.width_px, sized.crop_fraction) == (32, 32, 1.0)


def test_metadata_of_the_file_overrides_timm(tmp_path: Path, state) -> None:
    path = tmp_path / "w.safetensors"
    metadata = {
        "architecture": "test_resnet",
        "input_size": "3,64,96",
        "crop_pct": "0.5",
        "interpolation": "bilinear",
        "crop_mode": "squash",
        "mean": "0.1,0.2,0.3",
        "std": "0.4,0.5,0.6",
    }
    save_file(state, path, metadata=metadata)
    spec = create_backbone("test_resnet.r160_in1k", str(path))[1]
    assert spec == PreprocessSpec(64, 96, 0.5, "squash", "bilinear", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_the_user_overrides_the_metadata(tmp_path: Path, state) -> None:
    path = str(tmp_path / "w.safetensors")
    save_file(state, path, metadata={"input_size": "3,64,64"})
    assert create_backbone("test_resnet", path, input_size=32)[1].height_px == 32


@pytest.mark.parametrize(
    "metadata",
    [
        {"input_size": "64"},
        {"input_size": "3,a,b"},
        {"input_size": "3,0,0"},
        {"crop_pct": "7"},
        {"crop_pct": "nan"},
        {"mean": "0.5"},
        {"std": "0,0,0"},
        {"interpolation": "guess"},
        {"crop_mode": "zoom"},
    ],
)
def test_damaged_metadata_names_the_file(metadata: dict[str, str], tmp_path: Path, state) -> None:
    save_file(state, tmp_path / "w.safetensors", metadata=metadata)
    with pytest.raises(ModelError, match=r"w\.safetensors has damaged metadata"):
        create_backbone("test_resnet", str(tmp_path / "w.safetensors"))


def test_weights_of_another_architecture_are_named(tmp_path: Path, state) -> None:
    save_file(state, tmp_path / "w.safetensors", metadata={"architecture": "test_vit"})
    with pytest.raises(ModelError, match="holds weights of test_vit, not of test_resnet"):
        create_backbone("test_resnet", str(tmp_path / "w.safetensors"))
