"""Every engine answers as torch does, in order, whatever the batches; the cache makes itself again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch

from catsdogs.core.errors import ConfigError, ModelError
from catsdogs.core.predictions import softmax
from catsdogs.core.viewweights import ViewWeights
from catsdogs.inference.engines import choice, converted
from catsdogs.inference.engines.choice import open_engine
from catsdogs.inference.engines.converted import converted_model
from catsdogs.inference.engines.engine import Engine, stream_in_chunks
from catsdogs.models.backbones import create_backbone, feature_width
from catsdogs.models.classifier import ImageClassifier
from catsdogs.models.execution import Execution, Runner
from catsdogs.models.heads import build_head
from catsdogs.models.headspec import HeadSpec
from catsdogs.models.modelcard import ModelCard, load_card
from catsdogs.models.modelfile import load_model, save_model, save_temperature, save_view_weights

CONVERTED = converted.ENGINES


def save(folder: Path, head: HeadSpec | None = None) -> Path:
    torch.manual_seed(0)
    backbone, spec = create_backbone("test_resnet", input_size=32)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    spec_of_head = head or HeadSpec()
    layers = build_head(feature_width(backbone), 3, spec_of_head)
    if spec_of_head.kind == "linear":
        torch.nn.init.normal_(layers.fc.weight)  # so that answers differ
    card = ModelCard("test_resnet", ("cat", "dog", "fox"), spec, spec_of_head, temperature=2.0)
    save_model(folder, ImageClassifier(backbone, layers, spec), card)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def cache(model: Path, tmp_path_factory) -> Path:
    """A cache folder that holds the converted model."""
    folder = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATSDOGS_CACHE", str(folder))
        converted_model(model, "openvino", lambda _: None)
    return folder


@pytest.fixture
def warm(cache: Path, monkeypatch) -> Path:
    monkeypatch.setenv("CATSDOGS_CACHE", str(cache))
    return cache


@pytest.fixture
def pixels() -> np.ndarray:
    """Eleven pictures of coloured patches."""
    patches = np.random.default_rng(1).integers(0, 256, (11, 4, 4, 3), dtype=np.uint8)
    return patches.repeat(8, axis=1).repeat(8, axis=2)


def silent(_: str) -> None:
    pass


def opened(model: Path, **options: str) -> Engine:
    return open_engine(model, load_card(model), say=silent, **options)


class TestAgreement:
    @pytest.mark.parametrize("name", CONVERTED)
    @pytest.mark.parametrize("lengths", [[11], [1] * 11, [2, 3, 1, 5]])
    def test_probabilities_are_torchs_in_order_whatever_the_batches(
        self, name: str, lengths: list[int], model: Path, warm, pixels
    ) -> None:
        engine = opened(model, engine=name, precision="fp32")
        expected = opened(model, engine="torch", precision="fp32").stream([pixels])
        batches = np.split(pixels, np.cumsum(lengths)[:-1])
        answers = list(engine.stream(batches))
        assert [len(answer) for answer in answers] == lengths
        found, wanted = softmax(np.concatenate(answers) / 2), softmax(next(iter(expected)) / 2)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
        assert wanted.std(axis=0).min() > 0.005  # the test can tell pictures apart
        assert (engine.name, engine.precision) == (name, "fp32")

    @pytest.mark.parametrize("name", [*CONVERTED, "torch"])
    def test_features_stand_beside_the_logits_that_follow_from_them(self, name, model, warm, pixels) -> None:
        engine = opened(model, engine=name, precision="fp32")
        rows = np.concatenate(list(engine.stream([pixels[:3], pixels[3:]], features=True)))
        logits = next(iter(engine.stream([pixels])))
        classifier = load_model(model)[0].eval()
        with torch.inference_mode():
            features = classifier.features(torch.from_numpy(pixels)).numpy()
        np.testing.assert_allclose(rows[:, : logits.shape[1]], logits, rtol=0, atol=1e-6)
        np.testing.assert_allclose(rows[:, logits.shape[1] :], features, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("name", CONVERTED)
    def test_fp32_says_the_same_again_and_of_a_picture_alone(self, name: str, model, warm, pixels) -> None:
        engine = opened(model, engine=name, precision="fp32")
        together = next(iter(engine.stream([pixels])))
        np.testing.assert_array_equal(next(iter(engine.stream([pixels]))), together)
        alone = np.concatenate(list(engine.stream([one[None] for one in pixels])))
        np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("name", CONVERTED)
    def test_no_batches_give_no_answers_and_a_stream_may_be_left(
        self, name: str, model, warm, pixels
    ) -> None:
        engine = opened(model, engine=name, precision="fp32")
        assert list(engine.stream([])) == []

        def endless() -> Iterator[np.ndarray]:
            while True:
                yield pixels[:2]

        first = next(iter(engine.stream(endless())))
        np.testing.assert_allclose(next(iter(engine.stream([pixels[:2]]))), first, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("name", [*CONVERTED, "torch"])
    def test_two_streams_read_in_turns_do_not_meet(self, name: str, model, warm, pixels) -> None:
        engine = opened(model, engine=name, precision="fp32")
        ones = [one[None] for one in pixels]
        forwards, backwards = engine.stream(ones), engine.stream(ones[::-1])
        answers = [(next(forwards), next(backwards)) for _ in ones]
        expected = np.concatenate(list(engine.stream(ones)))
        np.testing.assert_array_equal(np.concatenate([one for one, _ in answers]), expected)
        np.testing.assert_array_equal(np.concatenate([one for _, one in answers]), expected[::-1])

    @pytest.mark.parametrize("name", [*CONVERTED, "torch"])
    def test_two_threads_may_share_an_engine(self, name: str, model, warm, pixels) -> None:
        engine = opened(model, engine=name, precision="fp32")
        ones = [one[None] for one in pixels] * 3

        def answers(batches: list[np.ndarray]) -> np.ndarray:
            return np.concatenate(list(engine.stream(batches)))

        expected = answers(ones)
        with ThreadPoolExecutor(2) as threads:
            for found in threads.map(answers, [ones] * 4):
                np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("name", CONVERTED)
    def test_what_a_library_raises_is_a_model_error_and_what_the_pictures_raise_is_not(
        self, name: str, model, warm, pixels
    ) -> None:
        engine = opened(model, engine=name, precision="fp32")
        with pytest.raises(ModelError, match="cannot run this model"):
            list(engine.stream([pixels[:, :16]] * 5))
        with pytest.raises(ModelError, match="cannot run this model"):
            converted.build(name, b"no model")

        def broken() -> Iterator[np.ndarray]:
            yield from [pixels[:2]] * 2
            raise RuntimeError("no such picture")

        with pytest.raises(RuntimeError, match="no such picture"):
            list(engine.stream(broken()))
        assert len(next(iter(engine.stream([pixels])))) == len(pixels)

    @pytest.mark.skipif(not choice._has_bf16(), reason="this processor does not compute in bf16")
    def test_bf16_moves_pictures_no_more_than_it_must(self, model, warm) -> None:
        patches = np.random.default_rng(3).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
        pictures = patches.repeat(4, axis=1).repeat(4, axis=2)
        exact, corrected = (
            next(iter(opened(model, engine="openvino", precision=one).stream([pictures], features=True)))
            for one in ("fp32", "bf16")
        )
        shift = converted_model(model, "openvino", silent).bf16_shift
        plain = corrected + shift
        assert np.linalg.norm((corrected - exact).mean(0)) < 0.7 * np.linalg.norm((plain - exact).mean(0))

    @pytest.mark.skipif(not choice._has_bf16(), reason="this processor does not compute in bf16")
    def test_bf16_agrees_on_nearly_every_label(self, model, warm) -> None:
        patches = np.random.default_rng(2).integers(0, 256, (400, 4, 4, 3), dtype=np.uint8)
        many = patches.repeat(8, axis=1).repeat(8, axis=2)
        exact, rounded = (
            next(iter(opened(model, engine="openvino", precision=one).stream([many])))
            for one in ("fp32", "bf16")
        )
        assert not np.array_equal(exact, rounded)
        top = np.sort(exact, axis=1)
        clear = top[:, -1] - top[:, -2] > 0.05  # a tie may fall either way
        assert (exact.argmax(1) == rounded.argmax(1))[clear].mean() >= 0.995


def test_chunks_are_full_and_padding_is_dropped() -> None:
    seen: list[int] = []

    def answers(chunks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for chunk in chunks:
            seen.append(len(chunk))
            yield chunk.reshape(len(chunk), -1)[:, :1].astype(np.float32)

    batches = [np.full((length, 2, 2, 3), length, np.uint8) for length in (1, 4, 3)]
    found = list(stream_in_chunks(batches, 2, answers))
    assert seen == [2] * 5
    assert [answer.ravel().tolist() for answer in found] == [[1], [4] * 4, [3] * 3]


class TestTheCache:
    def test_what_is_kept_is_found_without_converting(self, model, warm, monkeypatch) -> None:
        monkeypatch.setattr(converted, "_convert", lambda _: pytest.fail("it is there already"))
        assert converted_model(model, "openvino", pytest.fail).require("openvino")

    @pytest.mark.parametrize("damage", [b"", b"{}\nrest", b"\x80", b'{"sha256": 1, "distances": 2}\n'])
    def test_what_is_damaged_is_made_again(self, damage: bytes, model, monkeypatch) -> None:
        good = converted.Converted(b"onnx", {"openvino": 0.0})
        monkeypatch.setattr(converted, "_convert", lambda _: good)
        place = converted._place(model)
        assert converted_model(model, "openvino", silent) == good
        assert converted._read(place) == good
        place.write_bytes(damage or place.read_bytes()[:-1])
        said: list[str] = []
        assert converted_model(model, "openvino", said.append) == good
        assert len(said) == 1
        assert [path.name for path in place.parent.iterdir()] == [place.name]

    def test_another_temperature_is_another_model(self, tmp_path: Path) -> None:
        model = save(tmp_path)
        before = converted._place(model)
        save_temperature(model, 0.7)
        assert converted._place(model) != before

    def test_a_cache_that_cannot_be_written_is_no_mistake(self, model, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path / "file" / "below"))
        monkeypatch.setattr(converted, "_convert", lambda _: converted.Converted(b"onnx", {}))
        assert converted_model(model, "openvino", silent).onnx == b"onnx"

    def test_one_process_converts_once_where_nothing_can_be_kept(
        self, model, tmp_path: Path, monkeypatch
    ) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE", str(tmp_path))
        monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", "0")
        made = self.count_conversions(monkeypatch, converted.Converted(b"onnx", {"openvino": 0.0}))
        for _ in range(3):
            assert converted_model(model, "openvino", silent).require("openvino") == b"onnx"
        assert len(made) == 1
        assert not list(tmp_path.rglob("*.onnx"))

    def count_conversions(self, monkeypatch, result: converted.Converted) -> list[Path]:
        made: list[Path] = []

        def convert(folder: Path) -> converted.Converted:
            made.append(folder)
            return result

        monkeypatch.setattr(converted, "_unkept", {})
        monkeypatch.setattr(converted, "_convert", convert)
        return made

    def test_a_failure_is_forgotten_with_the_process(self, model, monkeypatch) -> None:
        made = self.count_conversions(monkeypatch, converted.Converted(b"", {}, failure="no space left"))
        for _ in range(2):
            with pytest.raises(ModelError, match="no space left; take --engine torch"):
                converted_model(model, "openvino", silent).require("openvino")
        assert len(made) == 1
        assert not converted._place(model).exists()
        made = self.count_conversions(monkeypatch, converted.Converted(b"onnx", {"openvino": 0.0}))
        assert converted_model(model, "openvino", silent).require("openvino") == b"onnx"
        assert len(made) == 1

    def test_an_engine_that_could_not_run_is_asked_again_next_time(self, model, monkeypatch) -> None:
        half = converted.Converted(b"onnx", {"openvino": 0.0}, {"onnxruntime": "out of memory"})
        made = self.count_conversions(monkeypatch, half)
        with pytest.raises(ModelError, match="--engine onnxruntime: out of memory; take --engine torch"):
            converted_model(model, "onnxruntime", silent).require("onnxruntime")
        assert converted_model(model, "openvino", silent).require("openvino") == b"onnx"
        assert len(made) == 1
        made = self.count_conversions(monkeypatch, half)
        assert converted_model(model, "openvino", silent).require("openvino") == b"onnx"
        assert made == []
        converted_model(model, "onnxruntime", silent)
        assert len(made) == 1

    @pytest.mark.parametrize("package", ["torch", "timm", "onnx", "onnxscript", "onnxruntime", "openvino"])
    def test_another_version_of_what_writes_and_runs_it_is_another_file(
        self, package: str, model, monkeypatch
    ) -> None:
        before = converted._place(model)
        version = converted.installed_version
        monkeypatch.setattr(
            converted, "installed_version", lambda name: "0.0" if name == package else version(name)
        )
        assert converted._place(model) != before

    def test_so_is_another_processor(self, model, monkeypatch) -> None:
        before = converted._place(model)
        monkeypatch.setattr("catsdogs.models.choosing.processor_flags", lambda: frozenset({"another"}))
        assert converted._place(model) != before

    def test_learned_weights_of_views_and_words_about_the_training_are_not_another_model(
        self, tmp_path: Path
    ) -> None:
        model = save(tmp_path)
        before = converted._place(model)
        save_view_weights(model, ViewWeights("flip", {"plain": 0.4, "flip": 0.6}, "val", 10))
        assert converted._place(model) == before

    def test_an_engine_of_another_package_has_no_version_and_runs(self, model, monkeypatch) -> None:
        """Such as onnxruntime-gpu, which is imported as onnxruntime."""

        def version(name: str) -> str:
            raise PackageNotFoundError(name)

        monkeypatch.setattr("catsdogs.models.choosing.importlib.metadata.version", version)
        assert converted._place(model).suffix == ".onnx"

    def test_the_least_recently_used_go(self, model, private_cache: Path, monkeypatch) -> None:
        monkeypatch.setenv("CATSDOGS_CACHE_LIMIT", "3kB")
        folder = private_cache / converted.FOLDER
        folder.mkdir()
        self.count_conversions(monkeypatch, converted.Converted(b"x" * 1200, {"openvino": 0.0}))
        for name, age_s in (("a", 50), ("b", 40), ("c", 30)):
            (folder / f"{name}.onnx").write_bytes(b"y" * 700)
            os.utime(folder / f"{name}.onnx", (time.time() - age_s,) * 2)
        converted_model(model, "openvino", silent)
        place = converted._place(model)
        assert {path.name for path in folder.iterdir()} == {"b.onnx", "c.onnx", place.name}
        os.utime(place, (0, 0))
        converted_model(model, "openvino", pytest.fail)
        assert time.time() - place.stat().st_mtime < 60  # reading is using

    def test_a_trial_without_memory_is_not_remembered(self, model, private_cache: Path, monkeypatch) -> None:
        monkeypatch.delenv("CATSDOGS_ENGINE")
        monkeypatch.setattr(choice, "_has_accelerator", lambda: False)
        for error, kept in ((MemoryError(), False), (ValueError("no such layer"), True)):

            def fail(_: object, cause: Exception = error) -> bytes:
                raise ModelError("no graph") from cause

            monkeypatch.setattr(converted, "_unkept", {})
            monkeypatch.setattr("catsdogs.models.deployment.to_onnx", fail)
            assert opened(model, precision="fp32").name == "torch"
            assert (private_cache / "trials.json").exists() == kept

    def test_an_engine_that_answers_otherwise_is_not_used(self, model, monkeypatch) -> None:
        far = converted.Converted(b"onnx", {"openvino": 2e-4, "onnxruntime": 0.0})
        monkeypatch.setattr(converted, "_convert", lambda _: far)
        with pytest.raises(ModelError, match=r"other probabilities than torch \(by 0.0002\)"):
            opened(model, engine="openvino")

    def test_the_distance_is_really_measured(self, model, warm, monkeypatch) -> None:
        onnx = converted_model(model, "openvino", silent).onnx
        card = load_card(model)
        other = ImageClassifier(*_backbone_and_head(), card.preprocess)
        distance = converted._distance("openvino", onnx, Runner(other, Execution()), card)
        assert distance > converted.TOLERANCE


def _backbone_and_head():
    torch.manual_seed(5)
    backbone, _ = create_backbone("test_resnet", input_size=32)
    head = build_head(feature_width(backbone), 3, HeadSpec())
    torch.nn.init.normal_(head.fc.weight)
    return backbone, head


def test_a_gpu_is_looked_for_where_there_is_any_sign_of_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(choice.sys, "platform", "linux")
    monkeypatch.setattr("catsdogs.inference.engines.eager.computes_elsewhere", lambda: True)
    assert {"/dev/dxg", "/dev/nvidiactl", "/dev/nvhost-gpu"} <= set(choice._SIGNS_OF_A_GPU)
    monkeypatch.setattr(choice, "_SIGNS_OF_A_GPU", (str(tmp_path / "none"), str(tmp_path / "dxg")))
    assert not choice._has_accelerator()
    (tmp_path / "dxg").touch()
    assert choice._has_accelerator()


class TestChoice:
    @pytest.fixture(autouse=True)
    def undecided(self, monkeypatch) -> None:
        monkeypatch.delenv("CATSDOGS_ENGINE", raising=False)
        monkeypatch.setattr(choice, "_has_accelerator", lambda: False)

    def candidates(self, model: Path, monkeypatch, **options: str) -> list[str]:
        asked: list[str] = []

        def choose(key: str, names: list[str], work: Callable, *, packages: object) -> str:
            asked.extend(names)
            assert work(names[1]) is not None
            return names[1]

        monkeypatch.setattr(choice, "choose", choose)
        assert opened(model, **options).name in asked[1]
        return asked

    @pytest.mark.parametrize(("precision", "bf16"), [("auto", True), ("auto", False), ("fp32", True)])
    def test_auto_tries_what_is_there(self, precision: str, bf16: bool, model, warm, monkeypatch) -> None:
        monkeypatch.setattr(choice, "_has_bf16", lambda: bf16)
        expected = ["torch", "onnxruntime fp32", "openvino fp32"]
        expected += ["openvino bf16"] if bf16 and precision == "auto" else []
        assert self.candidates(model, monkeypatch, precision=precision) == expected

    def test_support_vectors_are_never_tried_in_bf16(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr(choice, "_has_bf16", lambda: True)
        model = save(tmp_path, HeadSpec("rbf", vectors=4))
        assert "openvino bf16" not in self.candidates(model, monkeypatch)
        with pytest.raises(ConfigError, match="support vectors needs fp32"):
            opened(model, engine="openvino", precision="bf16")

    def test_a_known_answer_and_a_converted_model_need_no_torch(self, model, warm, monkeypatch) -> None:
        monkeypatch.setattr(choice, "choose", lambda *_, **__: "openvino fp32")
        monkeypatch.setattr(choice, "_torch_engine", lambda *_, **__: pytest.fail("torch is not needed"))
        assert opened(model).name == "openvino"

    def test_what_cannot_be_converted_is_run_by_torch(self, model, monkeypatch) -> None:
        monkeypatch.setattr(choice, "choose", lambda *_, **__: "openvino fp32")
        monkeypatch.setattr(converted, "_convert", lambda _: converted.Converted(b"", {}, failure="no graph"))
        said: list[str] = []
        assert open_engine(model, load_card(model), say=said.append).name == "torch"
        assert said[-1] == "this model cannot be converted for openvino; torch runs it"
        with pytest.raises(ModelError, match="--engine openvino: no graph; take --engine torch"):
            opened(model, engine="openvino")

    def test_without_the_extra_auto_is_torch_and_a_name_is_refused(self, model, monkeypatch) -> None:
        monkeypatch.setattr(converted.importlib.util, "find_spec", lambda _: None)
        assert opened(model).name == "torch"
        for name in CONVERTED:
            with pytest.raises(ConfigError, match=f"{name} is not installed: pip install 'catsdogs"):
                opened(model, engine=name)

    def test_a_gpu_is_torchs(self, model, monkeypatch) -> None:
        monkeypatch.setattr(choice, "_torch_engine", lambda *arguments, **_: arguments[2])
        assert opened(model, device="cuda:1") == "cuda:1"
        with pytest.raises(ConfigError, match="computes on the processor only"):
            opened(model, engine="openvino", device="cuda:1")

    def test_what_there_is_not(self, model, monkeypatch) -> None:
        with pytest.raises(ConfigError, match="engine 'tvm' is not one of auto, torch, compile"):
            opened(model, engine="tvm")
        with pytest.raises(ConfigError, match="precision 'int8' is not one of auto, fp32, bf16"):
            opened(model, precision="int8")
        with pytest.raises(ConfigError, match="onnxruntime computes in fp32 only"):
            opened(model, engine="onnxruntime", precision="bf16")
        monkeypatch.setenv("CATSDOGS_ENGINE", "tvm")
        with pytest.raises(ConfigError, match="CATSDOGS_ENGINE='tvm'"):
            opened(model)

    def test_a_machine_that_cannot_compile_says_so(self, model, monkeypatch) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("No working C++ compiler found\nand much more")

        monkeypatch.setattr(torch, "compile", lambda _: broken)
        with pytest.raises(ConfigError, match=r"does not work here \(No working C\+\+ compiler found\)"):
            opened(model, engine="compile", precision="fp32")


SIGNALLED = """
import os, pathlib, signal, sys
from catsdogs.inference.engines.converted import build, converted_model
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
onnx = converted_model(pathlib.Path(sys.argv[1]), "openvino", print).onnx
first, second = build("openvino", onnx), build("openvino", onnx)
del first
del second
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_is_handled_after_engines_have_come_and_gone(model: Path, cache: Path, monkeypatch) -> None:
    """OpenVINO's cores leave an alternative stack behind that is none, on processors with AMX."""
    monkeypatch.setenv("CATSDOGS_CACHE", str(cache))
    ended = subprocess.run(
        [sys.executable, "-c", SIGNALLED, model], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "handled\n"), ended.stderr
