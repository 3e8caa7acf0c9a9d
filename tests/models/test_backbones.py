import logging
import math
import socket
import time

import pytest
import timm
import torch
from huggingface_hub import constants
from torch import nn

from catsdogs.core.errors import ModelError
from catsdogs.core.preprocess import PreprocessSpec
from catsdogs.models.backbones import (
    create_backbone,
    feature_width,
    fit_to_input,
    load_strictly,
)

FAMILIES = timm.list_models("test_*")


def backbone() -> nn.Module:
    return create_backbone("test_resnet")[0]


class TestCreateBackbone:
    @pytest.mark.parametrize("name", FAMILIES)
    def test_gives_features_of_the_width_it_names(self, name: str) -> None:
        network, spec = create_backbone(name, input_size=32)
        assert (spec.height_px, spec.width_px) == (32, 32)
        with torch.no_grad():
            assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, feature_width(network))

    def test_size_is_the_weights_own_unless_another_is_asked_for(self) -> None:
        assert create_backbone("test_resnet")[1].height_px == 160
        assert create_backbone("test_resnet", input_size=64)[1].width_px == 64

    @pytest.mark.parametrize("name", ["test_vit", "test_coatnet", "test_maxvit"])
    def test_impossible_size_is_named(self, name: str) -> None:
        with pytest.raises(ModelError, match=rf"^{name} cannot work at 50x50 px: [^\n]+$"):
            create_backbone(name, input_size=50)

    @pytest.mark.parametrize("size_px", [0, -32, 100_000])
    def test_size_out_of_range_is_named(self, size_px: int) -> None:
        with pytest.raises(ModelError, match="outside 1 to 4096"):
            create_backbone("test_resnet", input_size=size_px)

    def test_trying_a_size_leaves_no_trace(self) -> None:
        torch.manual_seed(0)
        usual = create_backbone("test_resnet")[0]
        torch.manual_seed(0)
        smaller = create_backbone("test_resnet", input_size=32)[0]
        assert smaller.training
        tensors = smaller.state_dict()
        assert all(torch.equal(value, tensors[key]) for key, value in usual.state_dict().items())

    def test_sizes_need_not_be_square(self) -> None:
        network = create_backbone("test_vit")[0].eval()
        fit_to_input(network, PreprocessSpec(32, 64))
        with torch.no_grad():
            assert network(torch.zeros(1, 3, 32, 64)).shape == (1, feature_width(network))

    def test_unknown_name_brings_the_nearest(self) -> None:
        with pytest.raises(
            ModelError, match=r"no backbone 'mobilnetv2_100'; the nearest are .*mobilenetv2_100"
        ):
            create_backbone("mobilnetv2_100")

    def test_name_like_no_other_is_one_line_too(self) -> None:
        with pytest.raises(ModelError, match=r"no backbone '§'; timm\.list_models\(\) names them all$"):
            create_backbone("§")

    @pytest.mark.parametrize("name", ["hf-hub:timm/test_resnet", "local-dir:/tmp/x", "timm/test_resnet", ""])
    def test_only_plain_names_are_taken(self, name: str) -> None:
        with pytest.raises(ModelError, match="timm has no backbone"):
            create_backbone(name)

    def test_unknown_pretrained_tag_is_one_line(self) -> None:
        with pytest.raises(ModelError, match=r"^timm cannot make test_resnet\.moon: [^\n]+$"):
            create_backbone("test_resnet.moon")

    def test_stochastic_depth_reaches_the_network(self) -> None:
        network = create_backbone("test_vit", stochastic_depth=0.5)[0]
        assert any(getattr(module, "drop_prob", 0.0) for module in network.modules())

    @pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, math.nan])
    def test_stochastic_depth_is_a_share(self, rate: float) -> None:
        with pytest.raises(ModelError, match=r"outside \[0, 1\)"):
            create_backbone("test_vit", stochastic_depth=rate)

    def test_network_without_residual_branches_has_no_stochastic_depth(self) -> None:
        with pytest.raises(ModelError, match=r"^dla46_c has no stochastic depth; leave it at 0$"):
            create_backbone("dla46_c", stochastic_depth=0.1)


class TestHub:
    def test_without_network_it_is_one_line_at_once(self, tmp_path, monkeypatch, capfd, caplog) -> None:
        def unreachable(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unreachable)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"^the weights of test_resnet could not be fetched [^\n]+PATH$"):
            create_backbone("test_resnet", "hub")
        assert time.monotonic() - started < 10
        assert capfd.readouterr() == ("", "")
        assert not caplog.records
        assert not constants.HF_HUB_OFFLINE
        assert logging.getLogger("huggingface_hub").level != logging.CRITICAL

    @pytest.mark.parametrize("error", [OSError("no route"), ValueError("bad etag"), ConnectionResetError()])
    def test_whatever_the_client_raises_is_one_line(self, error: Exception, monkeypatch) -> None:
        def create_model(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(timm, "create_model", create_model)
        with pytest.raises(ModelError, match=rf"\({type(error).__name__}\): connect to the network"):
            create_backbone("test_resnet", "hub")


class TestLoadStrictly:
    def load(self, state: dict[str, torch.Tensor]) -> nn.Module:
        network = backbone()
        load_strictly(network, state, "w.pth")
        return network

    def test_every_tensor_arrives_and_the_head_of_another_size_is_ignored(self, state) -> None:
        head = {"fc.weight": torch.zeros(7, 9), "fc.bias": torch.zeros(7)}
        loaded = self.load(state | head).state_dict()
        assert all(torch.equal(loaded[key], state[key]) for key in loaded)
        assert not any(key.startswith("fc.") for key in loaded)

    def test_a_wrapped_model_loads(self, state) -> None:
        loaded = self.load({f"module.{key}": value for key, value in state.items()}).state_dict()
        assert torch.equal(loaded["conv1.0.weight"], state["conv1.0.weight"])

    def test_counters_may_be_missing(self, state) -> None:
        loaded = self.load({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})
        assert torch.equal(loaded.state_dict()["bn1.running_var"], state["bn1.running_var"])

    def test_everything_that_does_not_fit_is_named(self, state) -> None:
        wrong = state | {"extra.weight": torch.zeros(1), "bn1.bias": torch.zeros(3)}
        del wrong["bn1.weight"]
        with pytest.raises(ModelError) as caught:
            self.load(wrong)
        message = str(caught.value)
        assert message.startswith("w.pth does not fit test_resnet: ")
        assert "missing bn1.weight" in message
        assert "not part of it extra.weight" in message
        assert "of another shape bn1.bias (3,) for (" in message

    def test_a_long_list_is_cut(self, state) -> None:
        with pytest.raises(ModelError, match=r"missing \S+, \S+, \S+ and \d+ more$"):
            self.load({"conv1.0.weight": state["conv1.0.weight"]})

    def test_nothing_is_loaded_where_something_does_not_fit(self, state) -> None:
        network = backbone()
        before = network.state_dict()["bn1.bias"].clone()
        with pytest.raises(ModelError):
            load_strictly(network, state | {"extra": torch.zeros(1)}, "w.pth")
        assert torch.equal(network.state_dict()["bn1.bias"], before)

    @pytest.mark.parametrize("odd", [torch.Tensor.to_sparse, lambda value: value.to("meta")])
    def test_tensors_that_cannot_be_copied_are_one_line(self, odd, state) -> None:
        with pytest.raises(ModelError, match=r"^w\.pth cannot be used: [^\n]+$"):
            self.load(state | {"conv1.0.weight": odd(state["conv1.0.weight"])})
