from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from catsdogs.core.errors import ModelError
from catsdogs.models.backbones import create_backbone
from catsdogs.models.catalogue import (
    SHORTLIST,
    _imagenet_top1,
    find_entries,
    identify_files,
    size,
    without_network,
)
from catsdogs.models.registry import architectures, pretrained_weights, tagged_names


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch) -> Path:
    """A hub cache of the test's own, empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def weights(path: Path, **metadata: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.zeros(1)}, path, metadata)
    return str(path)


def names(pattern: str | None, files=None) -> list[str]:
    return [entry.name for entry in find_entries(pattern, files or {})]


class TestImagenetTable:
    def test_every_row_is_of_weights_that_timm_has_and_is_a_share(self) -> None:
        known = _imagenet_top1()
        assert len(known) > 500
        assert set(known) <= set(tagged_names())
        assert all(40 < value < 92 for value in known.values())

    def test_holds_the_published_figures(self) -> None:
        (entry,) = find_entries("mobilenetv2_100", {})
        assert entry.top1 == 72.936
        assert find_entries("resnet50.tv_in1k", {})[0].top1 == 76.156


class TestFindEntries:
    def test_the_short_list_is_there(self) -> None:
        assert set(SHORTLIST) <= set(architectures())
        assert names(None) == list(SHORTLIST)

    def test_globs_are_matched_each_and_no_name_comes_twice(self) -> None:
        assert names("resnet18|mobilenetv2_1*|resnet1?") == [
            "resnet18",
            "mobilenetv2_100",
            "mobilenetv2_110d",
            "mobilenetv2_120d",
            "mobilenetv2_140",
        ]

    def test_a_dot_asks_for_tags(self) -> None:
        found = find_entries("resnet18.fb*", {})
        assert [e.name for e in found] == [
            "resnet18.fb_ssl_yfcc100m_ft_in1k",
            "resnet18.fb_swsl_ig1b_ft_in1k",
        ]
        assert {entry.license for entry in found} == {"cc-by-nc-4.0"}

    @pytest.mark.parametrize(("pattern", "says"), [("resnet5O", "nearest are resnet50"), ("|", "is empty")])
    def test_what_matches_nothing_is_one_line(self, pattern, says) -> None:
        with pytest.raises(ModelError, match=says):
            find_entries(pattern, {})

    def test_files_come_first_once_and_only_where_the_pattern_wants_them(self) -> None:
        files = {Path("a.pth"): "resnet18", Path("b.pth"): "test_vit"}
        found = find_entries(None, files)
        assert [(e.name, e.weights) for e in found[:2]] == [("resnet18", "a.pth"), ("test_vit", "b.pth")]
        assert len(found) == len(SHORTLIST) + 1
        assert names("test_vit*", files)[0] == "test_vit"
        assert "resnet18" not in names("test_vit*", files)
        assert names("resnet18", {Path("c.pth"): "resnet18.a1_in1k"}) == ["resnet18.a1_in1k", "resnet18"]

    def test_an_architecture_without_weights_has_nothing_to_fetch(self) -> None:
        (entry,) = find_entries("botnet50ts_256", {})
        assert (entry.weights, entry.top1, entry.license, entry.downloadable) == (None, None, None, False)

    def test_the_hubs_cache_is_found_and_loads_without_network(self, hub_cache: Path) -> None:
        assert find_entries("test_resnet", {})[0].weights is None
        known = pretrained_weights("test_resnet")
        folder = hub_cache / f"models--{known.hub_id.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("0" * 40)
        torch.manual_seed(0)
        backbone = create_backbone("test_resnet")[0]
        state = backbone.state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
        (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
        save_file(state, folder / "snapshots" / ("0" * 40) / "model.safetensors")
        (entry,) = find_entries("test_resnet", {})
        assert entry.weights == "hub"
        with without_network():
            loaded = create_backbone("test_resnet", entry.weights)[0]
        assert torch.equal(loaded.conv1[0].weight, backbone.conv1[0].weight)


class TestIdentifyFiles:
    @pytest.mark.parametrize(
        ("name", "backbone"),
        [
            ("resnet50_a1_0-14fe96d1.pth", "resnet50"),
            ("mobilenetv2_100_ra-b33bc2c4.pth", "mobilenetv2_100"),
            ("resnet18.a2_in1k.safetensors", "resnet18.a2_in1k"),
            ("resnet18.mine.safetensors", "resnet18"),
            ("resnet18.a3_in1k/model.safetensors", "resnet18.a3_in1k"),
            ("convnext_tiny_hnf_a2h-ab7e9df2.pth", "convnext_tiny_hnf"),
            ("test_vit.pt", "test_vit"),
        ],
    )
    def test_by_name(self, tmp_path: Path, name: str, backbone: str) -> None:
        path = Path(weights(tmp_path / name))
        assert identify_files([str(path)]) == ({path: backbone}, [])

    def test_metadata_outweighs_the_name(self, tmp_path: Path) -> None:
        path = weights(tmp_path / "resnet18.safetensors", architecture="test_vit")
        assert identify_files([path]) == ({Path(path): "test_vit"}, [])

    def test_a_folder_is_searched_and_what_is_strange_is_told(self, tmp_path: Path) -> None:
        known = Path(weights(tmp_path / "deep" / "test_vit.safetensors"))
        strange = Path(weights(tmp_path / "my_model.safetensors"))
        foreign = Path(weights(tmp_path / "resnet18.safetensors", architecture="not_timms"))
        (tmp_path / "notes.txt").touch()
        assert identify_files([str(tmp_path)]) == ({known: "test_vit"}, [strange, foreign])

    def test_mistakes_are_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such weights file or folder"):
            identify_files([str(tmp_path / "missing")])
        with pytest.raises(ModelError, match="holds no weights"):
            identify_files([str(tmp_path)])
        with pytest.raises(ModelError, match="of which backbone"):
            identify_files([weights(tmp_path / "my_model.safetensors")])


class TestSize:
    def test_counts_what_the_real_network_has(self) -> None:
        for name in ("test_resnet", "test_vit"):
            (entry,) = find_entries(name, {})
            backbone, spec = create_backbone(name)
            found = size(entry)
            assert found.parameters == sum(p.numel() for p in backbone.parameters())
            assert found.input_px == spec.height_px

    def test_a_file_says_its_own_input_size(self, tmp_path: Path) -> None:
        path = Path(weights(tmp_path / "test_vit.safetensors", input_size="3,96,96"))
        entry = find_entries("test_vit", {path: "test_vit"})[0]
        assert size(entry).input_px == 96


def test_without_network_is_undone(monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with without_network():
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE
