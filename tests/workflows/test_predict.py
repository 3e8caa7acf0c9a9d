"""The predict command: every input, every output, interrupted and resumed."""

import csv
import errno
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catsdogs.cli.main import main
from catsdogs.core.predictions import Predictions
from catsdogs.inference.predictor import Predictor
from catsdogs.inference.writers.csvrows import CsvRows
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.heads import HeadSpec, build_head
from catsdogs.models.modelfile import ModelCard, load_model, save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    backbone, spec = create_backbone("test_resnet", input_size=32)
    head = build_head(feature_width(backbone), 2, HeadSpec())
    torch.nn.init.normal_(head.fc.weight)
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, ImageClassifier(backbone, head, spec), ModelCard("test_resnet", ("cat", "dog"), spec))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Sixty readable pictures and twenty that are not."""
    folder = tmp_path_factory.mktemp("home") / "photos"
    (folder / "sub").mkdir(parents=True)
    chance = np.random.default_rng(0)
    for number in range(60):
        pixels = chance.integers(0, 256, (40, 40, 3)) * chance.random((1, 1, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(
            folder / ("sub" if number % 2 else ".") / f"{number}.png"
        )
    for number in range(20):
        (folder / f"{number}-bad.jpg").write_bytes(b"nothing")
    return folder


@pytest.fixture
def home(tmp_path: Path, photos: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photos)
    return tmp_path


def predict(model: Path, *words: str, inputs: str = "photos", output: str = "rows.csv") -> int:
    fixed = ["--checkpoint", str(model), "--precision", "fp32", "--input", inputs, "--output", output]
    return main(["predict", *fixed, *words])


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def interrupt_after(monkeypatch, batches: int, ending: type[BaseException]) -> None:
    answers = Predictor.answers

    def broken(self, *words):
        for number, batch in enumerate(answers(self, *words)):
            if number == batches:
                raise ending
            yield batch

    monkeypatch.setattr(Predictor, "answers", broken)


class TestInterrupted:
    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
    def test_what_is_there_is_valid_and_resume_ends_with_the_same_bytes(
        self, suffix: str, model, home: Path, monkeypatch, capsys
    ) -> None:
        if suffix == ".parquet":
            pytest.importorskip("pyarrow")
        assert predict(model, output=f"whole{suffix}") == 0
        with monkeypatch.context() as patch:
            interrupt_after(patch, 3, KeyboardInterrupt)
            assert predict(model, output=f"rows{suffix}") == 130
        assert (
            f"rows so far are in rows.partial{suffix}; --resume goes on from there" in capsys.readouterr().err
        )
        partial, whole = Path(f"rows.partial{suffix}").read_bytes(), Path(f"whole{suffix}").read_bytes()
        if suffix != ".parquet":
            assert partial.endswith(b"\n")
            assert whole.startswith(partial)
            assert len(partial) > 500
        assert not Path(f"rows{suffix}").exists()
        assert predict(model, "--resume", output=f"rows{suffix}") == 0
        for end in (suffix, ".npz"):
            assert Path(f"rows{end}").read_bytes() == Path(f"whole{end}").read_bytes()
        assert not [path.name for path in home.iterdir() if "partial" in path.name or "journal" in path.name]

    def test_again_and_again(self, model, home, monkeypatch) -> None:
        assert predict(model, output="whole.csv") == 0
        for batches in (1, 0, 2):
            with monkeypatch.context() as patch:
                interrupt_after(patch, batches, KeyboardInterrupt)
                assert predict(model, "--resume") == 130
        assert predict(model, "--resume") == 0
        assert Path("rows.csv").read_bytes() == Path("whole.csv").read_bytes()

    def test_what_is_answered_is_not_decoded_again(self, model, home, monkeypatch) -> None:
        with monkeypatch.context() as patch:
            interrupt_after(patch, 4, KeyboardInterrupt)
            predict(model)
        done = len(rows("rows.partial.csv"))
        asked = []
        answers = Predictor.answers

        def counting(self, records, *words):
            for batch in answers(self, records, *words):
                asked.extend(batch.records)
                yield batch

        monkeypatch.setattr(Predictor, "answers", counting)
        assert predict(model, "--resume") == 0
        assert done > 30
        assert len(asked) == 80 - done

    def test_other_options_or_another_input_are_refused(self, model, home, monkeypatch, capsys) -> None:
        with monkeypatch.context() as patch:
            interrupt_after(patch, 3, KeyboardInterrupt)
            predict(model)
        capsys.readouterr()
        assert predict(model, "--resume", "--tta", "flip") == 2
        assert "had tta 'none', not 'flip'" in capsys.readouterr().err
        assert predict(model, "--resume", "--exclude", "1*") == 2
        assert "the input has changed since the run was interrupted" in capsys.readouterr().err
        assert predict(model, "--resume") == 0

    def test_it_goes_on_with_the_engine_that_was_chosen(self, model, home, monkeypatch, capsys) -> None:
        with monkeypatch.context() as patch:
            interrupt_after(patch, 3, KeyboardInterrupt)
            predict(model)
        monkeypatch.setenv("CATSDOGS_ENGINE", "compile")  # what auto would come to now
        capsys.readouterr()
        assert predict(model, "--resume", "--engine", "compile") == 2
        assert "had engine 'torch', not 'compile'" in capsys.readouterr().err
        assert predict(model, "--resume") == 0

    def test_nothing_to_go_on_from(self, model, home) -> None:
        assert predict(model, "--resume") == 0
        assert len(rows("rows.csv")) == 80


class TestTrouble:
    def test_the_results_of_a_run_are_not_its_input(self, model, home, photos) -> None:
        for number in range(0, 20, 2):
            (home / f"{number}.png").symlink_to(photos / f"{number}.png")
        words = ["--sort-into", "sorted", "--contact-sheet", "sheet.png", "--exclude", "photos"]
        assert predict(model, *words, inputs=".") == 0
        first = rows("rows.csv")
        assert len(first) == 10
        assert predict(model, *words, inputs=".") == 0
        assert rows("rows.csv") == first

    def test_a_full_disk_is_one_line_and_what_is_written_can_be_gone_on_from(
        self, model, home, monkeypatch, capsys
    ) -> None:
        assert predict(model, output="whole.csv") == 0
        written = CsvRows.write
        calls = []

        def full(self, some) -> None:
            calls.append(some)
            if len(calls) == 4:
                raise OSError(errno.ENOSPC, "No space left on device")
            written(self, some)

        with monkeypatch.context() as patch:
            patch.setattr(CsvRows, "write", full)
            assert predict(model) == 2
        told = capsys.readouterr().err
        assert "cannot write the results: No space left on device" in told
        assert "Traceback" not in told
        assert predict(model, "--resume") == 0
        assert Path("rows.csv").read_bytes() == Path("whole.csv").read_bytes()

    def test_answers_that_are_not_numbers_are_errors(self, model, home, tmp_path) -> None:
        classifier, card = load_model(model)
        torch.nn.init.constant_(classifier.head.fc.bias, float("nan"))
        save_model(tmp_path / "broken", classifier, card)
        words = ["--save-features", "f.npz"]
        assert predict(tmp_path / "broken", *words) == 0
        found = rows("rows.csv")
        assert {row["status"] for row in found} == {"error"}
        assert sum(row["reason"] == "the model's answer is not a number" for row in found) == 60
        assert np.load("f.npz")["features"].shape[0] == 0

    def test_an_output_that_is_a_link_grows_beside_what_it_leads_to(self, model, home, monkeypatch) -> None:
        (home / "far").mkdir()
        (home / "rows.csv").symlink_to(home / "far" / "real.csv")
        with monkeypatch.context() as patch:
            interrupt_after(patch, 3, KeyboardInterrupt)
            predict(model)
        assert (home / "far" / "real.partial.csv").exists()
        assert predict(model, "--resume") == 0
        assert (home / "rows.csv").is_symlink()
        assert len(rows("far/real.csv")) == 80

    def test_a_list_has_one_reader(self, model, home, monkeypatch, capsys) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert predict(model, inputs="-") == 2
        assert "--input - has one reader" in capsys.readouterr().err


class TestInputs:
    def test_archives_lists_and_patterns_score_as_the_folder(self, model, home, photos, monkeypatch) -> None:
        assert predict(model, output="folder.csv") == 0
        expected = {row["path"]: row["p_dog"] for row in rows("folder.csv")}
        names = sorted(expected)
        with zipfile.ZipFile("p.zip", "w") as archive:
            for name in names:
                archive.write(photos / name, name)
        with tarfile.open("p.tar.gz", "w:gz") as archive:
            for name in reversed(names):
                archive.add(photos / name, name)
        for inputs in ("p.zip", "p.tar.gz"):
            assert predict(model, inputs=inputs) == 0
            assert [(row["path"], row["p_dog"]) for row in rows("rows.csv")] == [
                (n, expected[n]) for n in names
            ]
        listed = b"\0".join(f"photos/{name}".encode() for name in names)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed)))
        for inputs in ("-", "photos/**/*"):
            assert predict(model, inputs=inputs) == 0
            assert {row["path"]: row["p_dog"] for row in rows("rows.csv")} == {
                f"photos/{name}": share for name, share in expected.items()
            }

    def test_include_and_exclude(self, model, home) -> None:
        assert predict(model, "--include", "*.PNG", "--exclude", "sub", "1*") == 0
        found = [row["path"] for row in rows("rows.csv")]
        assert found
        assert all(name.endswith(".png") and "/" not in name and name[0] != "1" for name in found)


class TestOutputs:
    def test_all_at_once(self, model, home, photos) -> None:
        assert predict(model) == 0
        shares = [float(row["probability"]) for row in rows("rows.csv") if row["probability"]]
        limit = float(np.median(shares))
        words = ["--abstain-below", f"{limit}", "--sort-into", "sorted", "--contact-sheet", "sheet.html"]
        assert predict(model, *words) == 0
        found = rows("rows.csv")
        statuses = {row["status"] for row in found}
        assert statuses == {"ok", "abstain", "error"}
        for row in found:
            folder = {"ok": row["label"], "abstain": "abstain", "error": "unreadable"}[row["status"]]
            assert Path("sorted", folder, row["path"]).resolve() == (photos / row["path"]).resolve()
            assert row["status"] != "abstain" or (row["label"] == "" and float(row["probability"]) < limit)
        assert len(Path("sorted/unreadable.csv").read_text().splitlines()) == 21
        page = Path("sheet.html").read_text(encoding="utf-8")
        assert page.count("<figure>") == 60
        least = min((row for row in found if row["probability"]), key=lambda row: float(row["probability"]))
        assert least["path"] in page.partition("</figure>")[0]
        assert np.isnan(
            Predictions.load("rows.npz").logits[[row["status"] == "error" for row in found]]
        ).all()

    def test_a_contact_sheet_as_png(self, model, home) -> None:
        assert predict(model, "--contact-sheet", "sheet.png", inputs="photos/sub") == 0
        with Image.open("sheet.png") as sheet:
            assert sheet.width > 900

    @pytest.mark.parametrize("tta", ["none", "flip"])
    def test_features_are_those_that_the_head_was_given(self, tta, model, home, photos, monkeypatch) -> None:
        words = ["--tta", tta, "--save-features", "features.npz"]
        with monkeypatch.context() as patch:
            interrupt_after(patch, 3, KeyboardInterrupt)
            assert predict(model, *words) == 130
        assert (
            predict(model, "--resume", "--tta", tta) == 2
        )  # the journal holds features, and nobody wants them
        assert predict(model, "--resume", *words) == 0
        whole = [row for row in rows("rows.csv") if row["status"] == "ok"]
        with np.load("features.npz") as file:
            ids, features = json.loads(bytes(file["ids"])), file["features"]
        assert ids == [row["path"] for row in whole]
        assert (features.shape, features.dtype) == ((60, 96), np.float32)
        classifier = load_model(model)[0].eval()
        pixels = np.stack([np.asarray(Image.open(photos / name).resize((32, 32))) for name in ids])
        views = [pixels, pixels[:, :, ::-1]] if tta == "flip" else [pixels]
        with torch.inference_mode():
            expected = [classifier.features(torch.from_numpy(view.copy())).numpy() for view in views]
        together = np.corrcoef(features.ravel(), np.mean(expected, axis=0).ravel())[0, 1]
        assert together > 0.98  # resized by another hand
        again = np.asarray([float(row["p_dog"]) for row in whole])
        with torch.inference_mode():
            told = torch.softmax(classifier.head(torch.from_numpy(features)), dim=1)[:, 1].numpy()
        np.testing.assert_allclose(told, again, atol=1e-4 if tta == "none" else 0.05)

    def test_json_lines_and_the_best_classes(self, model, home) -> None:
        assert predict(model, "--top-k", "2", output="rows.jsonl") == 0
        found = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
        assert len(found) == 80
        assert [len(row["top"]) for row in found if row["status"] == "ok"] == [2] * 60

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--format", "xml"], "--format 'xml' is not one of csv, jsonl, parquet"),
            (["--top-k", "0"], "--top-k must be 1 or more, not 0"),
            (["--abstain-below", "2"], "--abstain-below must be from 0 to 1, not 2"),
            (["--sort-into", "a", "--sort-by", "move"], "--sort-by is link or copy, not 'move'"),
            (["--sort-by", "copy"], "--sort-by copy needs --sort-into"),
            (["--output", "."], "--output '.' is a folder"),
            (["--engine", "tvm"], "engine 'tvm' is not one of"),
            (["--precision", "int3"], "precision 'int3' is not one of"),
            (["--save-features", "f.csv"], "--save-features ends in .npz, not 'f.csv'"),
            (["--save-features", "rows.npz"], "need a file each"),
            (["--contact-sheet", "sheet.pdf"], "--contact-sheet ends in .png or .html, not 'sheet.pdf'"),
            (
                ["--contact-sheet", "rows.csv.html", "--include", "*.xyz"],
                "--include and --exclude leave over",
            ),
        ],
    )
    def test_mistakes_are_one_line(self, words: list[str], message: str, model, home: Path, capsys) -> None:
        before = sorted(home.iterdir())
        assert predict(model, *words) == 2
        assert message in capsys.readouterr().err
        assert sorted(home.iterdir()) == before


def test_a_submission_is_clipped_by_the_validation_pictures(model, home: Path, photos, capsys) -> None:
    folder = home / "numbered"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").symlink_to(photos / f"{2 * number}.png")
    assert predict(model, "--submission", "s.csv", inputs="numbered") == 0
    assert "a cautious bound" in capsys.readouterr().out
    raw = np.array([float(row["label"]) for row in rows("s.raw.csv")])
    clipped = np.array([float(row["label"]) for row in rows("s.csv")])
    np.testing.assert_allclose(clipped, raw.clip(0.005, 0.995), atol=1e-8)
