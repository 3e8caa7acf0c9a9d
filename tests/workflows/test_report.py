"""One page tells a run: all of it, the same each time, with nothing from outside, in a real browser."""

import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from catsdogs.cli.main import main
from catsdogs.core.predictions import Predictions

PICTURES = "drawn:cat,dog?per_class=80&size=48"
SMALL = ["--model.backbone", "test_resnet", "--model.weights", "none", "--model.input_size", "32"]
TUNED = ["--trainer.precision", "32-true", "--transfer.epochs", "2", "--transfer.batch_size", "16"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A probe and a fine-tuned network of the same pictures."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["train", "--data.root", PICTURES, *SMALL]
    assert main([*words, "--transfer.strategy", "linear_probe", "--run", str(folder / "probe")]) == 0
    assert main([*words, "--transfer.strategy", "finetune_full", *TUNED, "--run", str(folder / "full")]) == 0
    shutil.copy(folder / "full" / "report.html", folder / "short.html")
    assert main(["report", str(folder / "full")]) == 0
    return folder


class Page(HTMLParser):
    """What a page refers to, names and says."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links, self.sources, self.figures, self.unnamed = [], [], [], [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attrs) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.sources += [
            value for name, value in attrs if name in ("src", "href", "xlink:href") and tag != "a"
        ]
        if given.get("role") == "img":
            self.figures.append(given.get("aria-label"))
        if tag == "img" and not given.get("alt"):
            self.unnamed.append(given)


def test_the_page_holds_everything_and_asks_for_nothing(runs) -> None:
    page = Page(runs / "full" / "report.html")
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", page.text)
    assert headings == [
        "In short",
        "How good it is",
        "What is taken for what",
        "Whether its probabilities are honest",
        "What leaving out doubtful answers would change",
        "Pictures unlike those in training",
        "Slices",
        "Mistakes",
        "Labels that look wrong",
        "The pictures",
        "The strategy",
        "How the training went",
        "To repeat it",
    ]
    assert not [one for one in page.sources if not one.startswith(("data:", "#"))]
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert page.text.count("<svg") == len(page.figures) >= 5
    assert all(len(told) > 20 for told in page.figures)
    assert not page.unnamed
    assert len(page.text) < 3_000_000


def test_no_level_of_headings_is_left_out(runs) -> None:
    assert main(["report", str(runs / "probe"), str(runs / "full"), "--out", str(runs / "levels.html")]) == 0
    for place in (runs / "full" / "report.html", runs / "levels.html"):
        levels = [int(level) for level in re.findall(r"<h([1-6])", place.read_text(encoding="utf-8"))]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_column_has_a_name(runs) -> None:
    assert not re.search(r"<th[^>]*></th>", (runs / "full" / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_the_same_each_time(runs) -> None:
    before = (runs / "full" / "report.html").read_bytes()
    assert main(["report", str(runs / "full")]) == 0
    assert (runs / "full" / "report.html").read_bytes() == before


def test_training_ends_with_a_short_page(runs) -> None:
    short = Page(runs / "short.html")
    assert "<svg" not in short.text
    assert "short form: catsdogs report" in short.text
    assert "How good it is" in short.text
    assert "data:image/jpeg" in short.text


def test_figures_of_the_page_are_those_of_the_evaluation(runs) -> None:
    said = Predictions.load(runs / "full" / "predictions.npz")
    page = Page(runs / "full" / "report.html").text
    right = float(np.mean(said.predicted == said.labels))
    assert f"{right:.2%} (" in page
    wrong = int((said.predicted != said.labels).sum())
    assert f"{wrong:,} of {len(said):,} answers are wrong." in page


def test_several_runs_stand_beside_each_other(runs, capsys) -> None:
    place = runs / "both.html"
    assert main(["report", str(runs / "probe"), str(runs / "full"), "--out", str(place)]) == 0
    assert "written:" in capsys.readouterr().out
    page = Page(place)
    assert "Side by side" in page.text
    assert {"run-1", "run-2", "run-1-scores", "run-2-scores"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_other_pictures_of_one_name_keep_their_evaluations_and_are_on_the_page(runs, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "probe", run)
    for seed, place in (("5", tmp_path / "a" / "photos"), ("6", tmp_path / "b" / "photos")):
        assert main(["draw", "--out", str(place), "--per_class", "3", "--size", "48", "--seed", seed]) == 0
        assert main(["evaluate", "--checkpoint", str(run), "--input", str(place)]) == 0
    assert len(list(run.glob("evaluation-photos-*/evaluation.json"))) == 2
    assert main(["report", str(run)]) == 0
    text = (run / "report.html").read_text()
    section = text.split('id="elsewhere"')[1].split("</section>")[0]
    assert section.count(">photos<") == 2


def test_each_run_shows_its_own_pictures_where_two_share_their_names(runs, tmp_path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs / "probe", other)
    split = other / "split.csv"
    split.write_text(split.read_text().replace("size=48", "size=96"))
    place = tmp_path / "both.html"
    assert main(["report", str(runs / "probe"), str(other), "--out", str(place)]) == 0
    first, second = place.read_text().split('id="run-1"')[1].split('id="run-2"')
    shown = [set(re.findall(r'"(data:image/jpeg[^"]+)"', part)) for part in (first, second)]
    assert len(shown[0]) > 10
    assert not shown[0] & shown[1]


def test_names_are_text_and_pictures_that_have_gone_are_named(runs, tmp_path, capsys) -> None:
    copy = tmp_path / "<b>bold & co"
    shutil.copytree(runs / "probe", copy)
    split = copy / "split.csv"
    split.write_text(split.read_text().replace("drawn:", "/nowhere/"))
    assert main(["report", str(copy)]) == 0
    assert "warning: the page names pictures that are not to be had in /nowhere/" in capsys.readouterr().out
    page = (copy / "report.html").read_text()
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold &amp; co" in page
    assert 'class="missing"' in page
    assert "data:image/jpeg" not in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda run: (run / "summary.json").unlink(),
            "is not complete: finish it with catsdogs train --resume",
        ),
        (lambda run: shutil.rmtree(run), "holds no run"),
        (lambda run: (run / "evaluation.json").write_text("{}"), "is not an evaluation"),
        (lambda run: (run / "predictions.npz").write_bytes(b"x"), "is not a file of predictions"),
    ],
)
def test_what_cannot_be_told_is_one_line(runs, tmp_path, capsys, change, message) -> None:
    copy = tmp_path / "run"
    shutil.copytree(runs / "probe", copy)
    change(copy)
    assert main(["report", str(copy)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_one_run_twice_is_one_line(runs, capsys) -> None:
    assert main(["report", str(runs / "full"), str(runs / "full")]) == 2
    assert "the same run is named twice" in capsys.readouterr().err


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    with api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def watched(browser):
    """Open a page and note what it complains of and asks for."""
    noted = []

    def visit(path: Path, **options):
        page = browser.new_context(**options).new_page()
        page.on("console", lambda message: noted.append(message.text))
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else noted.append(request.url),
        )
        page.goto(path.as_uri())
        return page

    yield visit
    assert noted == []


class TestInABrowser:
    @pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (390, "dark")])
    def test_it_fits_the_window_and_is_not_blank(self, runs, watched, width, scheme, tmp_path) -> None:
        from PIL import Image

        window = {"width": width, "height": 900}
        page = watched(runs / "full" / "report.html", viewport=window, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / "page.png")
        pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
        paper = np.median(pixels)
        assert (paper > 200) == (scheme == "light")
        assert 0.01 < np.mean(np.abs(pixels - paper) > 60) < 0.5

    def test_a_number_of_the_confusion_matrix_opens_its_pictures(self, runs, watched) -> None:
        page = watched(runs / "full" / "report.html")
        link = page.locator(".confusion a").first
        fold = page.locator(f"details{link.get_attribute('href')}")
        assert not fold.evaluate("one => one.open")
        link.click()
        assert fold.evaluate("one => one.open")
        image = fold.locator("img").first
        image.wait_for(state="visible")
        page.wait_for_function("one => one.complete && one.naturalWidth > 0", arg=image.element_handle())

    def test_a_link_into_a_folded_run_opens_it(self, runs, watched) -> None:
        assert main(["report", str(runs / "probe"), str(runs / "full"), "--out", str(runs / "two.html")]) == 0
        page = watched(runs / "two.html")
        page.locator("nav a", has_text="full").click()
        assert page.locator("details#run-2").evaluate("one => one.open")

    def test_printing_opens_all_folds(self, runs, watched) -> None:
        page = watched(runs / "full" / "report.html")
        assert page.locator("details:not([open])").count() > 3
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_numbers_in_tinted_cells_can_be_read(self, runs, watched, scheme) -> None:
        page = watched(runs / "full" / "report.html", color_scheme=scheme)
        ratios = page.evaluate(_CONTRAST)
        assert ratios
        assert min(ratios) >= 4.5  # WCAG 2, level AA

    def test_letters_of_figures_can_be_read_on_a_phone(self, runs, watched) -> None:
        page = watched(runs / "full" / "report.html", viewport={"width": 390, "height": 900})
        measured = "all => all.map(one => one.getBoundingClientRect().height)"
        heights = page.locator(".drawing svg text").evaluate_all(measured)
        assert min(heights) >= 8


# Luminance and contrast as WCAG 2 defines them; a cell's tint lies over the page's paper.
_CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = numbers(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll(".confusion a")].map((link) => {
    const tint = numbers(getComputedStyle(link.closest("td")).backgroundColor);
    const share = tint.length > 3 ? tint[3] : 1;
    const under = paper.map((v, i) => share * tint[i] + (1 - share) * v);
    const [low, high] = [light(under), light(numbers(getComputedStyle(link).color))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  });
}"""
