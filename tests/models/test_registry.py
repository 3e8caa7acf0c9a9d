"""What timm's registry knows, catsdogs_cnn among it."""

import pytest
import timm

from catsdogs.core.errors import ModelError
from catsdogs.models.networkspec import CNN
from catsdogs.models.registry import architectures, nearest_names, pretrained_weights, require_known


def test_the_nearest_name_is_what_was_meant():
    assert nearest_names("resnet5o")[0] == "resnet50"


def test_ones_own_network_is_one_of_timms_without_weights():
    assert CNN in architectures()
    assert timm.get_pretrained_cfg(CNN).input_size == (3, 96, 96)
    assert pretrained_weights(CNN) is None


def test_weights_are_named_with_their_tag():
    known = pretrained_weights("mobilenetv2_100")
    assert known.name == "mobilenetv2_100.ra_in1k"
    assert (known.license, known.hub_id) == ("apache-2.0", "timm/mobilenetv2_100.ra_in1k")
    with pytest.raises(ModelError, match=r"^timm has no weights 'test_resnet\.moon': [^\n]+$"):
        pretrained_weights("test_resnet.moon")


def test_what_timm_does_not_have_is_refused():
    require_known("test_resnet.r160_in1k")
    with pytest.raises(ModelError, match="timm has no backbone 'mobilnetv2_100'; the nearest are"):
        require_known("mobilnetv2_100")
