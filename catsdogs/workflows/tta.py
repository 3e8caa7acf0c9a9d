"""Tta: learn how much each view of a recipe should count, and keep that with the model."""

from __future__ import annotations

from pathlib import Path

from catsdogs.core.errors import ConfigError
from catsdogs.core.viewweights import ViewWeights
from catsdogs.data.layouts import labels_of
from catsdogs.data.splits import read_split
from catsdogs.data.views import View, parse_views
from catsdogs.evaluation.viewweights import LearnedWeights, learn_weights
from catsdogs.models.embedded import is_embedded
from catsdogs.models.modelcard import find_model, load_card
from catsdogs.models.modelfile import save_view_weights
from catsdogs.reporting.console import progress, say, signed_text, table
from catsdogs.workflows.applying import apply
from catsdogs.workflows.applyoptions import ApplyOptions
from catsdogs.workflows.evaluate import labelled_records, learned_from
from catsdogs.workflows.runfolder import RunFolder
from catsdogs.workflows.seen import leave_out_seen


def fit_views(
    checkpoint: Path,
    options: ApplyOptions,
    *,
    input_path: str | None = None,
    split: str = "auto",
    seed: int = 0,
) -> ViewWeights | None:
    """Learn weights of views on pictures that the model has not learned from; show and save them.

    Args:
        checkpoint: Run folder or model folder.
        options: How the model is applied: two or more views.
        input_path: Labelled pictures from outside the run; without it the run's own are taken.
        split: ``val``, ``test`` or ``train``; ``auto`` is the validation split, or the test split where the
            model has learned from validation pictures.
        seed: Of folds and intervals.

    Returns:
        What was saved; None in every process but the first.

    Raises:
        UserError: The model, the views or the pictures cannot be used.
    """
    if is_embedded(checkpoint):
        raise ConfigError("the embedded model cannot be changed; give a run or model folder")
    card = load_card(checkpoint)
    tta = options.tta
    options.check(card)
    _refuse_unweighable(parse_views(tta, card.preprocess), tta)
    origin = "input" if input_path is not None else _split(checkpoint, split)
    records = leave_out_seen(labelled_records(checkpoint, input_path, origin, card.class_names), card)
    with progress(f"views of {origin} pictures", len(records)) as advance:
        applied = apply(checkpoint, records, options, keep_views=True, advance=advance)
    if applied is None:
        return None
    scored = applied.predictions.with_labels(labels_of(records, card.class_names)).scorable()
    assert scored.views is not None
    learned = learn_weights(scored.views.logits, scored.labels, seed=seed)
    weights = dict(zip(scored.views.names, learned.weights.tolist(), strict=True))
    found = ViewWeights(tta=tta, weights=weights, learned_on=origin, n=len(scored))
    save_view_weights(find_model(checkpoint), found)
    _show(found, learned)
    say(f"saved in {find_model(checkpoint)}: used from now on with --tta {tta}")
    return found


def _refuse_unweighable(views: tuple[View, ...], tta: str) -> None:
    if len(views) < 2:
        raise ConfigError(f"--tta {tta} is a single view: there is nothing to weigh")
    if any(view.draw for view in views):
        raise ConfigError(f"--tta {tta}: random views differ from picture to picture; no weight fits one")


def _split(checkpoint: Path, split: str) -> str:
    """Return the split to learn from, and say so where it is not the validation split as usual."""
    run = RunFolder(checkpoint)
    used = learned_from(run)
    if split != "auto":
        if split in used:
            say(f"warning: the model has learned from the {split} pictures; on others weights may be worse")
        return split
    if "val" not in used:
        return "val"
    if run.split.is_file() and any(record.split == "test" for record in read_split(run.split)):
        say(
            "this head has learned from the validation pictures too (plan.json), so the weights are learned "
            "on the test pictures; judge them on others (evaluate --input)"
        )
        return "test"
    say("warning: this head has learned from the validation pictures, and there are no others to learn from")
    return "val"


def _show(found: ViewWeights, learned: LearnedWeights) -> None:
    even = 1 / len(found.weights)
    table(
        f"Weights of {len(found.weights)} views, from {found.n:,} {found.learned_on} pictures",
        ("view", "weight", "times the mean's"),
        [(name, f"{weight:.4f}", f"{weight / even:.2f}") for name, weight in found.weights.items()],
    )
    say(
        f"gain in log loss over the plain mean: {signed_text('log_loss', learned.unseen_gain)} "
        f"cross-validated, {learned.gain:+.4f} on the pictures learned from "
        f"(prior of {learned.strength:g} pictures a view)"
    )
    if learned.unseen_gain.low <= 0:
        say("that is not more than chance may do: --tta_merge mean is as good")
