"""The loss, and what weighing classes changes in training and in validation."""

import pytest
import torch
import torch.nn.functional as F
from small import learn, points

from catsdogs.training.losses import training_loss
from catsdogs.training.recipe import Loss

LOGITS = torch.tensor([[2.0, -1.0], [0.5, 0.3], [-0.2, 0.9], [1.0, 1.5]])
LABELS = torch.tensor([0, 0, 1, 0])


def test_it_is_torchs_weighted_cross_entropy():
    weights = torch.tensor([0.5, 3.0])
    found = training_loss(LOGITS, LABELS, Loss(label_smoothing=0.1), weights)
    torch.testing.assert_close(found, torch.nn.CrossEntropyLoss(weights, label_smoothing=0.1)(LOGITS, LABELS))
    each = F.cross_entropy(LOGITS, LABELS, reduction="none")
    by_hand = (each * weights[LABELS]).sum() / weights[LABELS].sum()
    torch.testing.assert_close(training_loss(LOGITS, LABELS, Loss(), weights), by_hand)


def test_weights_of_classes_move_the_border_and_the_validation_loss_weighs_alike(tmp_path):
    rows, labels = points(1)
    ends = {}
    for weights in ([1.0, 1.0], [1.0, 20.0]):
        task = learn(tmp_path / str(weights[1]), loss=Loss(class_weights="balanced"), class_weights=weights)
        with torch.no_grad():
            logits = task.classifier.eval()(rows)
        ends[weights[1]] = int(logits.argmax(1).sum())
        expected = F.cross_entropy(logits, torch.tensor(labels), weight=torch.tensor(weights))
        assert float(task.trainer.callback_metrics["val_loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert ends[20.0] > ends[1.0]
