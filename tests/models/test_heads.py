import math

import pytest
import torch
from torch.nn import functional as F

from catsdogs.core.errors import ModelError
from catsdogs.models.heads import HEADS, HeadSpec, build_head


class TestBuildHead:
    @pytest.mark.parametrize("kind", HEADS)
    def test_turns_features_into_logits(self, kind: str) -> None:
        head = build_head(24, 3, HeadSpec(kind, hidden=8))
        assert head(torch.zeros(5, 24)).shape == (5, 3)
        assert head.fc.out_features == 3

    def test_mlp_is_one_hidden_layer_of_relus(self) -> None:
        head = build_head(24, 3, HeadSpec("mlp", hidden=8)).eval()
        x = torch.randn(5, 24)
        assert torch.equal(head(x), head.fc(F.relu(head.hidden(x))))

    @pytest.mark.parametrize("kind", HEADS)
    @pytest.mark.parametrize("classes", [2, 10])
    def test_first_loss_is_near_that_of_a_guess(self, kind: str, classes: int) -> None:
        torch.manual_seed(0)
        head = build_head(512, classes, HeadSpec(kind)).eval()
        loss = F.cross_entropy(head(torch.randn(400, 512)), torch.arange(400) % classes)
        assert loss.item() == pytest.approx(math.log(classes), abs=0.1)

    def test_hidden_layer_keeps_the_scale_of_its_input(self) -> None:
        torch.manual_seed(0)
        head = build_head(512, 2, HeadSpec("mlp", hidden=512))
        hidden = F.relu(head.hidden(torch.randn(400, 512)))
        assert hidden.square().mean().item() == pytest.approx(1.0, rel=0.1)

    @pytest.mark.parametrize("kind", HEADS)
    def test_dropout_works_in_training_only(self, kind: str) -> None:
        head = build_head(64, 2, HeadSpec(kind, dropout=0.5))
        x = torch.randn(4, 64)
        assert not torch.equal(head.train()(x), head(x))
        assert torch.equal(head.eval()(x), head(x))


class TestHeadSpec:
    @pytest.mark.parametrize("spec", [HeadSpec(), HeadSpec("mlp", hidden=7, dropout=0.25)])
    def test_survives_json(self, spec: HeadSpec) -> None:
        assert HeadSpec.from_dict(spec.to_dict()) == spec

    @pytest.mark.parametrize(
        "values",
        [
            {"kind": "conv"},
            {"kind": ["linear"]},
            {"hidden": 0},
            {"hidden": 10**9},
            {"hidden": 2.5},
            {"hidden": "8"},
            {"hidden": None},
            {"dropout": 1.0},
            {"dropout": -0.1},
            {"dropout": math.nan},
            {"dropout": "half"},
            {"layers": 3},
        ],
    )
    def test_what_cannot_be_built_is_refused(self, values: dict[str, object]) -> None:
        with pytest.raises(ModelError):
            HeadSpec.from_dict(values)

    @pytest.mark.parametrize("values", [None, 5, "linear"])
    def test_what_is_no_head_is_refused(self, values: object) -> None:
        with pytest.raises(ModelError):
            HeadSpec.from_dict(values)
