"""Ensemble: several models as one, and what that brought on pictures that none of them has learned from."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from catsdogs.core.ensemblereport import EnsembleReport, Judgement
from catsdogs.core.errors import ConfigError, OutputError
from catsdogs.core.familiarity import LEAST_HELD_OUT
from catsdogs.core.files import require_writable, write_json
from catsdogs.core.predictions import Predictions
from catsdogs.core.records import ImageRecord
from catsdogs.core.report import EvaluationReport
from catsdogs.core.temperature import log_loss
from catsdogs.data.splits import write_split
from catsdogs.evaluation.comparison import matched
from catsdogs.evaluation.ensembles import judge
from catsdogs.evaluation.judge import evaluate
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.modelcard import ModelCard
from catsdogs.models.modelfile import save_familiarity, save_model
from catsdogs.reporting.console import say
from catsdogs.reporting.ensemblefigures import draw_ensemble
from catsdogs.reporting.ensembles import show_ensemble
from catsdogs.reporting.figures import save_figure
from catsdogs.workflows.answers import ANSWERS
from catsdogs.workflows.applyoptions import DEFAULTS
from catsdogs.workflows.ensembling.building import build_ensemble, cook_soup
from catsdogs.workflows.ensembling.deciding import (
    SELECTIONS,
    VOTES,
    Decision,
    answers_for_deciding,
    answers_of,
    decide,
)
from catsdogs.workflows.ensembling.members import Member, open_members
from catsdogs.workflows.ensembling.pictures import (
    fitted_on,
    joint_split,
    judges_from,
    judges_of,
    tested_on,
)
from catsdogs.workflows.environment import environment
from catsdogs.workflows.evaluate import write_report
from catsdogs.workflows.familiarity import familiar_to_model, look
from catsdogs.workflows.heldout import heldout
from catsdogs.workflows.runfolder import RunFolder

RESULT, FIGURE = "ensemble.json", "ensemble.png"
SOUP = "soup"


@dataclass(frozen=True)
class _Bench:
    """Members, and the pictures that judge them and what they make together.

    Attributes:
        members: Two or more.
        joint: Their pictures with the split that binds all of them.
        judges: No member has learned from them.
        source: Where these come from: ``test`` or ``input``.
        seed: Of intervals, folds and subsets.
        command: That makes the same again, but for ``--run``.
    """

    members: Sequence[Member]
    joint: Sequence[ImageRecord]
    judges: Sequence[ImageRecord]
    source: str
    seed: int
    command: str = ""

    @property
    def names(self) -> list[str]:
        return [member.name for member in self.members]

    def answers(self) -> list[Predictions]:
        """Return each member's answers to the judges; none where there are no judges."""
        if not self.judges:
            return []
        return [self._saved(one) or answers_of(one, self.judges, one.name) for one in self.members]

    def _saved(self, member: Member) -> Predictions | None:
        """Return what a run's test has told of the judges, if it was about all of them and of one view."""
        if self.source != "test" or not member.is_final or member.run is None:
            return None
        path, report = member.run.path / ANSWERS, member.run.path / "evaluation.json"
        if not (path.is_file() and report.is_file() and EvaluationReport.load(report).tta == DEFAULTS.tta):
            return None
        told = Predictions.load(path)
        places = {name: place for place, name in enumerate(told.ids)}
        if not all(record.id in places for record in self.judges):
            return None
        return told.select([places[record.id] for record in self.judges])

    def judge(
        self,
        answers: Sequence[Predictions],
        said: Predictions,
        *,
        kind: str,
        best: int | None,
        voting: Sequence[int],
    ) -> Judgement:
        """Compare what the members say together with what each says.

        Where nothing has told the ``best`` member apart, what each holds out itself does; where none holds
        anything out, it is the first, and the judgement says so.
        """
        if best is None:
            best = _best_by_own(self.members)
        *alone, together = matched([*answers, said], [*self.names, "the ensemble"])
        return judge(
            alone,
            self.names,
            together,
            kind=kind,
            best=self.names[best or 0],
            chosen=best is not None,
            voting=[self.names[place] for place in voting],
            source=self.source,
            seed=self.seed,
        )


def ensemble(
    paths: Sequence[Path],
    path: Path,
    *,
    vote: str = "soft",
    select: str = "all",
    soup: bool = False,
    input_path: str | None = None,
    seed: int = 0,
) -> EnsembleReport:
    """Make one model of several, judge it, and write it into a folder that is used like a run's.

    Args:
        paths: Run or model folders, or folders of ``catsdogs tune kfold`` or ``seeds``.
        path: Where to.
        vote: ``soft``, ``majority``, or ``weighted``: soft, with weights learned on held-out pictures.
        select: ``all``, or ``greedy`` on held-out pictures.
        soup: Average the networks' weights instead of their answers.
        input_path: Labelled pictures to judge by; without it the test pictures that all members hold out.
        seed: Of intervals, folds and subsets.

    Raises:
        UserError: The members do not go together, the pictures cannot be used, or the folder is taken.
    """
    _check(path, vote, select, soup)
    members = open_members(paths)
    joint = joint_split(members)
    judges = judges_of(members, joint) if input_path is None else judges_from(members, input_path)
    command = _command(paths, vote=vote, select=select, soup=soup, input_path=input_path, seed=seed)
    bench = _Bench(members, joint, judges, "test" if input_path is None else "input", seed, command)
    run = RunFolder(path)
    if soup:
        report, said = _as_soup(bench, run, select=select)
    else:
        report, said = _as_vote(bench, run, vote=vote, select=select)
    if _learn_familiarity(run, joint) and said is not None:
        # By its own features, not by those of a member.
        said = replace(said, unfamiliar=look(run.path, judges, "how strange the judges are")[0].unfamiliar)
    _write(bench, run, report, said)
    return report


def _command(
    paths: Sequence[Path], *, vote: str, select: str, soup: bool, input_path: str | None, seed: int
) -> str:
    options = {"vote": vote, "select": select, "soup": str(soup).lower(), "seed": str(seed)}
    if input_path is not None:
        options["input"] = input_path
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return shlex.join(["catsdogs", "ensemble", *map(str, paths), *words])


def _check(path: Path, vote: str, select: str, soup: bool) -> None:
    if vote not in VOTES:
        raise ConfigError(f"--vote {vote!r} is not one of {', '.join(VOTES)}")
    if select not in SELECTIONS:
        raise ConfigError(f"--select {select!r} is not one of {', '.join(SELECTIONS)}")
    if soup and vote != "soft":
        raise ConfigError("--soup averages weights, and nobody votes: leave out --vote")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} exists already; choose another --run")
    require_writable(path / RESULT)


def _as_vote(
    bench: _Bench, run: RunFolder, *, vote: str, select: str
) -> tuple[EnsembleReport, Predictions | None]:
    """Write a voting ensemble; return its report and its answers to the judges."""
    members = bench.members
    shared = answers_for_deciding(members)
    decision = decide(shared, len(members), vote=vote, select=select, seed=bench.seed)
    kind = decision.vote.kind
    built = build_ensemble(members, decision)
    _save(run, built, decision.said)
    answers = bench.answers()
    said, judgement = None, None
    if answers:
        said = _together(bench, decision, answers, Member(kind, run.model, built[1], None))
        judgement = bench.judge(answers, said, kind=kind, best=decision.best, voting=decision.voting)
    voting = [bench.names[place] for place in decision.voting]
    report = EnsembleReport(
        kind=kind,
        weights=dict(zip(voting, decision.vote.weights, strict=True)),
        left_out=tuple(name for name in bench.names if name not in voting),
        decided=decision.words,
        heldout=0 if decision.said is None else len(decision.said),
        temperature=decision.temperature,
        judgement=judgement,
    )
    return report, said


def _as_soup(bench: _Bench, run: RunFolder, *, select: str) -> tuple[EnsembleReport, Predictions | None]:
    """Write a soup; return its report and its answers to the judges."""
    never = tested_on(bench.members)
    fresh = "val" not in fitted_on(bench.members)
    validation = [one for one in bench.joint if fresh and one.split == "val" and one.id not in never]
    soup = cook_soup(bench.members, validation, select=select)
    _save(run, (soup.classifier, soup.card), soup.said)
    answers = bench.answers()
    said, judgement = None, None
    if answers:
        said = answers_of(Member(SOUP, run.model, soup.card, None), bench.judges, SOUP)
        judgement = bench.judge(answers, said, kind="soft", best=soup.best, voting=soup.used)
    used = [bench.names[place] for place in soup.used]
    report = EnsembleReport(
        kind=SOUP,
        weights=dict.fromkeys(used, 1 / len(used)),
        left_out=tuple(name for name in bench.names if name not in used),
        decided=soup.words,
        heldout=0 if soup.said is None else len(soup.said),
        temperature=soup.card.temperature,
        judgement=judgement,
    )
    return report, said


def _learn_familiarity(run: RunFolder, joint: Sequence[ImageRecord]) -> bool:
    """Let the new model know strange pictures, as its members do; say whether it does.

    No features have learned from a validation picture that is in no member's train: gradients never saw it.
    """
    training, held_out = ([one for one in joint if one.split == split] for split in ("train", "val"))
    if len(held_out) < LEAST_HELD_OUT:
        return False
    familiarity = familiar_to_model(run.path, training, look(run.path, held_out, "validation")[1])
    if familiarity is not None:
        save_familiarity(run.model, familiarity)
    return familiarity is not None


def _best_by_own(members: Sequence[Member]) -> int | None:
    """Return the member with the lowest log loss on what it holds out itself; None where none does."""
    own = [heldout(member.model) for member in members]
    losses = [math.inf if one is None else log_loss(one.logits, one.labels) for one in own]
    return int(np.argmin(losses)) if min(losses) < math.inf else None


def _together(
    bench: _Bench, decision: Decision, answers: Sequence[Predictions], built: Member
) -> Predictions:
    """Return what the voting members say together; a picture that one could not read has its reason.

    Where they want their pictures otherwise, the ensemble itself has to be asked: what each is given is cut
    from the same pixels there, and differs a little from what it is given alone.
    """
    if len({bench.members[place].card.preprocess for place in decision.voting}) > 1:
        return answers_of(built, bench.judges, "the ensemble")
    logits = np.stack([answers[place].logits for place in decision.voting])
    errors = {place: reason for own in answers for place, reason in own.errors.items()}
    merged = decision.vote.merge(logits) / decision.temperature
    return replace(answers[0], logits=merged, errors=errors, views=None, unfamiliar=None)


def _save(run: RunFolder, built: tuple[ImageClassifier, ModelCard], said: Predictions | None) -> None:
    save_model(run.model, *built)
    if said is not None:
        said.save(run.validation)


def _write(bench: _Bench, run: RunFolder, report: EnsembleReport, said: Predictions | None) -> None:
    """Write what evaluate needs of a run, the answers and their report; show it."""
    if bench.joint:
        write_split(run.split, bench.joint)
    decided = {"val"} if report.heldout else set()
    write_json(
        run.plan,
        {
            "strategy": report.kind if report.kind == SOUP else "ensemble",
            "fitted_on": sorted(decided.union(fitted_on(bench.members))),
            "members": [str(member.model) for member in bench.members],
            "command": bench.command,
            "environment": environment(),
        },
    )
    if said is not None:
        judged = evaluate(said, split=bench.source, tta="none", seed=bench.seed)
        write_report(judged, said, run.path if bench.source == "test" else run.path / "evaluation-input")
    write_json(run.path / RESULT, report.to_dict())
    files = ["model", RESULT]
    if report.judgement is not None:
        save_figure(draw_ensemble(report.judgement, tuple(report.weights)), run.path / FIGURE)
        files.append(FIGURE)
    show_ensemble(report)
    say(f"written to {run.path}: {', '.join(files)}")
