from catsdogs.evaluation.mistakes import Answer, Galleries
from catsdogs.reporting.page.blocks import Gallery
from catsdogs.reporting.sections.mistakes import mistakes_section

WRONG, RIGHT = Answer("a", "dog", "cat", 0.987, 4.3), Answer("b", "dog", "dog", 0.51, 0.67)


def test_a_gallery_for_each_kind_with_captions():
    section = mistakes_section(Galleries((WRONG,), (RIGHT,), (WRONG,), ((("c", "cat"), ("d", "dog")),)))
    shown = {one.title: one.pictures for one in section.blocks if isinstance(one, Gallery)}
    assert [[picture.caption for picture in pictures] for pictures in shown.values()] == [
        ["cat 98.7%, is dog"],
        ["dog 51.0%"],
        ["labelled dog, judged cat 98.7%, loss 4.30"],
        ["labelled cat", "labelled dog"],
    ]
    assert section.lead == (
        "The most confident mistake took dog for cat at 98.7%. "
        "One photo has copies with different labels: at least one of each is wrong."
    )


def test_without_mistakes_the_lead_says_so():
    section = mistakes_section(Galleries((), (RIGHT,)))
    assert section.lead == "No picture was judged wrongly."
    assert len(section.blocks) == 1


def test_anchors_are_unique():
    group = (("c", "cat"), ("d", "dog"))
    found = mistakes_section(Galleries((WRONG,), (RIGHT,), (WRONG,), (group, group)))
    anchors = [one.anchor for one in found.blocks if isinstance(one, Gallery)]
    assert len(set(anchors)) == len(anchors) == 5
