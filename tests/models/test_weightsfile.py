import io
import os
import pickle
import random
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save, save_file

from catsdogs.core.errors import ModelError
from catsdogs.models.backbones import create_backbone
from catsdogs.models.weightsfile import read_weights


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Weights of a whole test_resnet, its 1000-class head included."""
    torch.manual_seed(1)
    network = timm.create_model("test_resnet")
    return {key: value.clone() for key, value in network.state_dict().items()}


def saved(path: Path, values: object) -> str:
    torch.save(values, path)
    return str(path)


class MakesFolder:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def file_bytes(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind in ("zip", "legacy"):
        torch.save({"a": torch.ones(3)}, stream, _use_new_zipfile_serialization=kind == "zip")
    elif kind == "pickle":
        pickle.dump({"a": 1, "b": [1, 2]}, stream)
    elif kind == "safetensors":
        stream.write(save({"a": torch.ones(3)}))
    else:
        stream.write(random.Random(0).randbytes(200))
    return stream.getvalue()


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """Change a few bytes, most of them near the beginning, or cut the file."""
    data = bytearray(whole)
    for _ in range(chance.choice([1, 3, 10])):
        data[chance.randrange(min(len(data), 300))] = chance.randrange(256)
    return bytes(data[: chance.randrange(len(data))] if chance.random() < 0.3 else data)


class TestReadWeights:
    @pytest.mark.parametrize("wrapper", ["state_dict", "state_dict_ema", "model", None])
    def test_pytorch_files_as_trainers_write_them(self, wrapper: str | None, tmp_path: Path) -> None:
        tensors = {"a": torch.ones(2)}
        path = saved(tmp_path / "w.pth", {wrapper: tensors, "epoch": 3} if wrapper else tensors)
        state, metadata = read_weights(path)
        assert list(state) == ["a"]
        assert torch.equal(state["a"], torch.ones(2))
        assert metadata == {}

    def test_a_file_loads_like_safetensors(self, tmp_path: Path, state) -> None:
        save_file(state, tmp_path / "w.safetensors")
        one = create_backbone("test_resnet", str(tmp_path / "w.safetensors"))[0].eval()
        other = create_backbone("test_resnet", saved(tmp_path / "w.pth", {"state_dict": state}))[0].eval()
        pixels = torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            assert torch.equal(one(pixels), other(pixels))

    def test_code_in_a_file_does_not_run(self, tmp_path: Path) -> None:
        made = tmp_path / "made"
        path = saved(tmp_path / "w.pth", {"a": torch.ones(2), "b": MakesFolder(made)})
        torch.load(path, weights_only=False)
        made.rmdir()  # so the file does hold code that runs
        with pytest.raises(ModelError, match=r"as weights: it is damaged, or holds more than tensors$"):
            read_weights(path)
        assert not made.exists()

    @pytest.mark.parametrize(
        "values", [{}, {1: torch.ones(1)}, {"a": 1}, [torch.ones(1)], torch.ones(1), {"state_dict": {}}]
    )
    def test_a_file_without_named_tensors_is_refused(self, values: object, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="holds no tensors by name"):
            read_weights(saved(tmp_path / "w.pth", values))

    @pytest.mark.parametrize("url", ["https://x.y/w.safetensors", "file:///w.pth", "s3://b/w.pth"])
    def test_urls_are_refused(self, url: str) -> None:
        with pytest.raises(ModelError, match="is a URL"):
            read_weights(url)

    def test_missing_file_and_folder_are_named(self, tmp_path: Path) -> None:
        for path in (tmp_path / "no.pth", tmp_path):
            with pytest.raises(ModelError, match="no such weights file"):
                read_weights(str(path))

    @pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "safetensors", "noise"])
    def test_damaged_files_are_always_a_model_error(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
        chance, whole, refusals = random.Random(kind), file_bytes(kind), []
        for _ in range(60):
            path.write_bytes(damaged(whole, chance))
            try:
                read_weights(str(path))
            except ModelError as error:
                refusals.append(str(error))
        assert len(refusals) > 20
        assert all(refusal.isprintable() for refusal in refusals)
