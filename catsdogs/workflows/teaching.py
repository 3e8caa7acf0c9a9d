"""The teacher of a run: checked and kept before anything else happens, and there again after a resume."""

from __future__ import annotations

from catsdogs.core.errors import ConfigError
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.modelfile import load_model, save_model
from catsdogs.training.distillation import Teacher
from catsdogs.training.recipe import Distillation, Recipe
from catsdogs.workflows.runfolder import RunFolder


def adopt_teacher(asked: Distillation, class_names: tuple[str, ...], run: RunFolder) -> None:
    """Copy the teacher that was asked for, if any, into the run folder.

    Raises:
        ModelError: There is no such model.
        ConfigError: It knows other classes.
    """
    if asked.teacher is None:
        return
    classifier, card = load_model(asked.teacher)
    if card.class_names != class_names:
        raise ConfigError(
            f"--distillation.teacher {asked.teacher} knows {', '.join(card.class_names)}; "
            f"the pictures are of {', '.join(class_names)}"
        )
    save_model(run.teacher, classifier, card)


def teacher_for(classifier: ImageClassifier, recipe: Recipe, run: RunFolder) -> Teacher | None:
    """Return what teaches the classifier of this run; None where nothing does.

    Raises:
        ModelError: The run's copy of the teacher is damaged.
    """
    if recipe.distillation.teacher is None:
        return None
    teacher, card = load_model(run.teacher)
    return Teacher(
        classifier,
        teacher,
        card.preprocess,
        recipe.distillation,
        calibration=card.temperature,
        seed=recipe.seed,
    )
