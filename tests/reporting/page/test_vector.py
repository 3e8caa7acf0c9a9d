"""A figure inside a page is the same each time, refers to itself alone and takes the page's colours."""

import re

from matplotlib.figure import Figure

from catsdogs.reporting.page.vector import to_svg


def drawn(label: str = "a < b & c") -> Figure:
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2, 3], [3, 1, 2], marker="o", label=label)
    axes.axvspan(1, 2, alpha=0.2)
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def test_the_same_figure_is_the_same_text_whatever_lies_where_in_memory() -> None:
    kept = [drawn() for _ in range(5)]
    assert len({to_svg(figure, "one") for figure in kept}) == 1


def test_inner_names_are_its_own_and_lead_somewhere() -> None:
    one, two = to_svg(drawn(), "one"), to_svg(drawn(), "two")
    names = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, two)]
    assert not names[0] & names[1]
    for text, own in zip((one, two), names, strict=True):
        assert own
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)) <= {
            pair for name in own for pair in ((name, ""), ("", name))
        }


def test_ink_and_paper_are_the_pages_and_data_keeps_its_colour() -> None:
    text = to_svg(drawn(), "one")
    assert "#000000" not in text
    assert "#ffffff" not in text
    assert "currentColor" in text
    assert "#1f77b4" in text
    assert "a &lt; b &amp; c" in text
    assert "<style" not in text
    assert not re.search(r'<svg[^>]* width="', text)
    assert re.search(r'<svg[^>]* viewBox="', text)
