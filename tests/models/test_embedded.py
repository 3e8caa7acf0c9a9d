"""What the package carries is whole, small, and says what it is."""

from pathlib import Path

import numpy as np

from catsdogs.data.seen import SeenPictures
from catsdogs.models.embedded import EMBEDDED, SEEN, embedded_folder, is_embedded
from catsdogs.models.modelcard import TENSORS, TOP
from catsdogs.models.modelfile import load_model

_MOST_BYTES = 4_000_000


def test_the_model_is_whole_and_small():
    assert (embedded_folder() / TENSORS).stat().st_size < _MOST_BYTES
    classifier, card = load_model(EMBEDDED)
    assert card.embedded
    assert card.class_names == ("cat", "dog")
    assert card.stages == (TOP,)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in classifier.state_dict().values())


def test_its_card_tells_data_licence_recipe_and_figures():
    card = (embedded_folder() / "README.md").read_text(encoding="utf-8")
    for word in ("learned from", "licence", "recipe", "judged by", "2,002 photos", "log loss"):
        assert word in card


def test_what_it_has_seen_is_remembered():
    signatures = SeenPictures.load(embedded_folder() / SEEN).signatures
    assert signatures.shape[1] == 63
    assert len(signatures) > 9_000
    assert len(np.unique(signatures, axis=0)) > 0.99 * len(signatures)


def test_a_folder_of_that_name_is_no_longer_the_embedded_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_embedded(EMBEDDED)
    assert is_embedded(Path(EMBEDDED))
    assert not is_embedded("runs/embedded")
    (tmp_path / EMBEDDED).mkdir()
    assert not is_embedded(EMBEDDED)
