import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catsdogs.core.errors import DataError
from catsdogs.core.records import ImageRecord
from catsdogs.data import inspection
from catsdogs.data.audit import AuditReport, Spread, audit
from catsdogs.data.stores import open_store


def noise(seed, width=80, height=60):
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def records_of(root, label=lambda name: name.split("/")[0], **parts):
    return [
        ImageRecord(id=entry.name, root=str(root), name=entry.name, label=label(entry.name), **parts)
        for entry in open_store(str(root)).entries()
    ]


@pytest.fixture
def folder(tmp_path):
    """Four cats and three dogs: one broken, one exact copy, one near copy, one copy under another label."""
    root = tmp_path / "pictures"
    for name, seed in (("cat/1", 1), ("cat/2", 2), ("cat/3", 3), ("dog/1", 11), ("dog/2", 12)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(root / f"{name}.png")
    noise(1).save(root / "cat" / "1 again.bmp")
    noise(2).save(root / "dog" / "cat.jpg", quality=60)
    (root / "cat" / "empty.jpg").touch()
    return root


def counted(monkeypatch):
    """Count the pictures that are really decoded."""
    calls = []
    real = inspection.decode
    monkeypatch.setattr(inspection, "decode", lambda data, **how: calls.append(1) or real(data, **how))
    return calls


def test_what_a_folder_holds(folder):
    report = audit(records_of(folder), workers=2)
    assert (report.n, report.n_readable) == (8, 7)
    assert report.unreadable == {"cat/empty.jpg": "empty file"}
    assert report.class_counts == {"cat": 4, "dog": 3}
    assert report.class_unreadable == {"cat": 1, "dog": 0}
    assert (report.width_px, report.height_px) == (Spread(80, 80, 80), Spread(60, 60, 60))
    assert report.formats == {"PNG": 5, "BMP": 1, "JPEG": 1}
    assert report.exact_duplicates == (("cat/1 again.bmp", "cat/1.png"),)
    assert report.near_duplicates == (("cat/2.png", "dog/cat.jpg"),)
    assert report.conflicting_duplicates == (("cat/2.png", "dog/cat.jpg"),)


def test_duplicates_are_tied_for_the_splits(folder):
    report = audit(records_of(folder), workers=0)
    assert report.ties["cat/1.png"] == report.ties["cat/1 again.bmp"]
    assert report.ties["cat/2.png"] == report.ties["dog/cat.jpg"]
    assert report.ties["cat/1.png"] != report.ties["cat/2.png"]
    assert set(report.ties) == {"cat/1.png", "cat/1 again.bmp", "cat/2.png", "dog/cat.jpg"}


def test_an_exact_copy_joins_the_near_duplicates_of_its_twin(folder):
    shutil.copy(folder / "cat" / "2.png", folder / "cat" / "2 again.png")
    report = audit(records_of(folder), workers=2)
    assert report.near_duplicates == (("cat/2 again.png", "cat/2.png", "dog/cat.jpg"),)
    assert len(report.exact_duplicates) == 2
    assert len(report.duplicate_groups) == 2


def test_only_readable_records_remain(folder):
    records = records_of(folder)
    assert audit(records, workers=2).readable(records) == tuple(
        record for record in records if record.name != "cat/empty.jpg"
    )


def test_the_bar_is_moved_once_a_picture(folder):
    for _ in range(2):
        steps = []
        audit(records_of(folder), workers=2, advance=steps.append)
        assert sum(steps) == 8


def test_no_pictures_are_no_crash():
    report = audit([], workers=2)
    assert (report.n, report.warnings, report.width_px) == (0, (), Spread(0, 0, 0))
    assert report.rows()


def test_a_picture_is_measured_as_it_is_seen(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(0, 80, 60).save(tmp_path / "turned.jpg", exif=exif)
    report = audit(records_of(tmp_path), workers=0)
    assert (report.width_px.max, report.height_px.max) == (60, 80)


class TestCache:
    def test_nothing_is_decoded_twice(self, folder, monkeypatch):
        first = audit(records_of(folder), workers=2)
        calls = counted(monkeypatch)
        assert audit(records_of(folder), workers=2) == first
        assert calls == []

    def test_without_it_everything_is_decoded(self, folder, monkeypatch, private_cache):
        calls = counted(monkeypatch)
        audit(records_of(folder), workers=0, cache=False)
        audit(records_of(folder), workers=0, cache=False)
        assert len(calls) == 16
        assert list(private_cache.iterdir()) == []

    def test_only_what_changed_is_read_again(self, folder, monkeypatch):
        audit(records_of(folder), workers=2)
        noise(50, 90, 90).save(folder / "cat" / "3.png")
        noise(51).save(folder / "cat" / "new.png")
        (folder / "dog" / "1.png").unlink()
        calls = counted(monkeypatch)
        report = audit(records_of(folder), workers=2)
        assert len(calls) == 2
        assert report.class_counts == {"cat": 5, "dog": 2}
        assert report.height_px.max == 90
        assert report == audit(records_of(folder), workers=0, cache=False)

    def test_same_size_other_time_is_read_again(self, folder, monkeypatch):
        audit(records_of(folder), workers=2)
        os.utime(folder / "cat" / "1.png", ns=(1, 1))
        calls = counted(monkeypatch)
        audit(records_of(folder), workers=2)
        assert len(calls) == 1

    def test_a_part_of_the_pictures_leaves_the_rest_known(self, folder, monkeypatch):
        audit(records_of(folder), workers=2)
        audit(records_of(folder)[:2], workers=2)
        calls = counted(monkeypatch)
        audit(records_of(folder), workers=2)
        assert calls == []

    @pytest.mark.parametrize("damage", [b"", b"no zip", None])
    def test_a_damaged_file_is_ignored(self, folder, monkeypatch, private_cache, damage):
        first = audit(records_of(folder), workers=2)
        for path in (private_cache / "audit").iterdir():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if damage is None else damage)
        calls = counted(monkeypatch)
        assert audit(records_of(folder), workers=2) == first
        assert len(calls) == 8

    def test_another_version_is_ignored(self, folder, monkeypatch):
        audit(records_of(folder), workers=2)
        monkeypatch.setattr(inspection, "AUDIT_VERSION", inspection.AUDIT_VERSION + 1)
        calls = counted(monkeypatch)
        audit(records_of(folder), workers=2)
        assert len(calls) == 8

    def test_what_an_interrupted_audit_found_is_kept(self, folder, monkeypatch):
        def interrupt(_):
            if len(done) == 3:
                raise KeyboardInterrupt
            done.append(1)

        done = []
        with pytest.raises(KeyboardInterrupt):
            audit(records_of(folder), workers=0, advance=interrupt)
        calls = counted(monkeypatch)
        audit(records_of(folder), workers=0)
        assert 0 < len(calls) <= 5

    def test_a_folder_that_cannot_be_written_costs_nothing_but_time(self, folder, monkeypatch, tmp_path):
        (tmp_path / "file").touch()
        monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path / "file" / "below"))
        assert audit(records_of(folder), workers=2).n_readable == 7


class TestWarnings:
    def warnings(self, *args, **how):
        return " | ".join(audit(*args, workers=2, **how).warnings)

    def save(self, root, counts, size=(40, 40)):
        for label, n in counts.items():
            (root / label).mkdir(parents=True)
            for number in range(n):
                noise(sum(map(ord, label)) * 1000 + number, *size).save(root / label / f"{number}.png")

    def test_a_sound_set_has_none(self, tmp_path):
        self.save(tmp_path / "set", {"cat": 5, "dog": 5})
        assert self.warnings(records_of(tmp_path / "set")) == ""

    def test_uneven_classes(self, tmp_path):
        self.save(tmp_path / "set", {"cat": 1, "dog": 11})
        assert "from 1 to 11 pictures" in self.warnings(records_of(tmp_path / "set"))

    def test_unreadable_classes(self, tmp_path):
        self.save(tmp_path / "set", {"cat": 5})
        (tmp_path / "set" / "dog").mkdir()
        (tmp_path / "set" / "dog" / "1.jpg").write_bytes(b"\xff\xd8\xff nothing")
        found = self.warnings(records_of(tmp_path / "set"))
        assert "1 of 6 pictures cannot be read" in found
        assert "no picture of class dog can be read" in found

    def test_tiny_and_flat_pictures(self, tmp_path):
        self.save(tmp_path / "set", {"cat": 2}, size=(20, 90))
        Image.new("RGB", (60, 60), "green").save(tmp_path / "set" / "cat" / "flat.png")
        found = self.warnings(records_of(tmp_path / "set"))
        assert "2 pictures with a side under 32 px" in found
        assert "1 picture of a single colour" in found

    def test_many_copies_and_labels_that_contradict(self, folder):
        for number in range(25):
            shutil.copy(folder / "cat" / "1.png", folder / "dog" / f"copy{number}.png")
        found = self.warnings(records_of(folder))
        assert "27 pictures are duplicates of one another" in found
        assert "2 groups of duplicates with several labels" in found

    def test_groups_across_classes(self, folder):
        report = audit(records_of(folder, group="one patient"), workers=2)
        assert (report.n_groups, report.largest_group, report.mixed_groups) == (1, 7, 1)
        assert "1 group with pictures in several classes" in report.warnings[-1]


class TestFile:
    def test_a_report_survives_its_file(self, folder, tmp_path):
        name = "cat/\udce9 \ud800 ü猫.png"
        records = [*records_of(folder), ImageRecord(name, str(folder), "cat/1.png", "cat", group=name)]
        records.append(ImageRecord(name + "x", str(folder), "no such file", "cat"))
        report = audit(records, workers=2)
        assert name in report.ties
        assert name + "x" in report.unreadable
        report.save(tmp_path / "audit.json")
        assert AuditReport.load(tmp_path / "audit.json") == report

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"n": 3}'])
    def test_another_file_is_one_message(self, tmp_path, text):
        (tmp_path / "audit.json").write_text(text)
        with pytest.raises(DataError, match="not an audit"):
            AuditReport.load(tmp_path / "audit.json")

    def test_a_wrong_field_is_one_message(self, folder):
        values = audit(records_of(folder), workers=2).to_dict()
        with pytest.raises(DataError, match="not an audit"):
            AuditReport.from_dict(json.loads(json.dumps(values | {"width_px": 3})))

    def test_rows_are_text(self, folder):
        rows = dict(audit(records_of(folder), workers=2).rows())
        assert rows["readable"] == "7"
        assert rows["unreadable"] == "1: empty file"
        assert rows["near duplicates"] == "2 pictures in 1 group, the largest of 2"


def test_a_missing_root_is_one_message(tmp_path):
    with pytest.raises(DataError):
        audit([ImageRecord("a", str(tmp_path / "none"), "a.png")], workers=2)


def test_a_zip_and_a_folder_tell_the_same(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder).as_posix())
    assert audit(records_of(tmp_path / "pictures.zip"), workers=2) == audit(records_of(folder), workers=2)


@pytest.mark.real
def test_the_archive_with_known_bad_files(real):
    root = real / "data" / "kagglecatsanddogs.zip"
    records = [
        record
        for record in records_of(root, label=lambda name: name.split("/")[1])
        if not record.name.endswith(".db")
    ]
    report = audit(records, workers=2)
    assert report.n_readable == 12_000
    assert set(report.unreadable) == {"PetImages/Cat/666.jpg", "PetImages/Dog/11702.jpg"}
    # Looked at one by one: nine pairs of the same photo.
    pairs = ["10 6058", "1273 980", "180 74", "2027 3082", "2565 3565", "3832 6700", "5163 6026"]
    pairs += ["6143 6204", "6421 6902"]
    found = {frozenset(Path(id).stem for id in group) for group in report.duplicate_groups}
    assert found == {frozenset(pair.split()) for pair in pairs}


@pytest.mark.real
def test_no_two_patients_are_merged(real):
    root = real / "data" / "chest-xray.zip"
    report = audit(records_of(root, label=lambda name: name.split("/")[1]), workers=2)
    assert report.n_readable == 1000
    assert report.duplicate_groups
    for group in report.duplicate_groups:
        assert len({Path(id).name[:8] for id in group}) == 1
