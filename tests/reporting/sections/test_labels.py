"""The section of suspected labels: words, pictures with captions, and a table."""

import numpy as np

from catsdogs.core.predictions import Predictions
from catsdogs.evaluation.labelcheck import Conflict, check_labels
from catsdogs.reporting.page.blocks import Gallery, Grid, Words
from catsdogs.reporting.sections.labels import labels_section


def checked(probabilities, labels, conflicts=None):
    ids = tuple(f"{number}.jpg" for number in range(len(labels)))
    said = Predictions(ids, ("cat", "dog"), np.log(probabilities), np.array(labels))
    return check_labels(said, conflicts or {}, origin="a test")[0]


def test_suspects_are_shown_with_what_they_look_like():
    conflict = {"x.jpg": Conflict("dog", "same photo as 1.jpg, called cat")}
    check = checked(np.array([[0.01, 0.99], [0.9, 0.1], [0.2, 0.8]]), [0, 0, 1], conflict)
    section = labels_section(check)
    assert section.lead.startswith("2 of 4 look wrong, by a test; about ")
    assert "1 pictures have a duplicate" in section.lead
    words, gallery, grid = section.blocks
    assert isinstance(words, Words)
    assert isinstance(gallery, Gallery)
    assert isinstance(grid, Grid)
    assert [(thumb.id, thumb.caption) for thumb in gallery.pictures] == [
        ("0.jpg", "given cat, looks like dog 0.99"),
        ("x.jpg", "given dog"),
    ]
    assert [row[0] for row in grid.rows] == ["0.jpg", "x.jpg"]
    assert all(len(row) == len(grid.header) for row in grid.rows)


def test_nothing_suspected_needs_no_pictures():
    section = labels_section(checked(np.array([[0.9, 0.1], [0.1, 0.9]]), [0, 1]))
    assert section.lead.startswith("0 of 2 look wrong")
    assert section.blocks == ()


def test_a_weak_model_is_no_witness():
    weak = np.array([[0.1, 0.9], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert "its own mistakes" in labels_section(checked(weak, [0, 1, 0, 0])).lead
