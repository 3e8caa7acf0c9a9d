"""The plan on the page: what was chosen, and a figure that is read on light and dark paper."""

import re

from catsdogs.reporting.page.blocks import Drawing
from catsdogs.reporting.page.vector import to_svg
from catsdogs.reporting.sections.plan import plan_section

PROBE = {"pictures": 170, "accuracy": 0.98, "accuracy_error": 0.01, "log_loss": 0.05, "log_loss_error": 0.02}
STAGES = [
    {**PROBE, "stage": name, "stages": [name], "stride": stride, "kind": "linear"}
    for name, stride in (("5", 32), ("top", 224))
]
PLAN = {
    "strategy": "linear_probe",
    "summary": "keep the backbone",
    "cell": {"pictures": 140, "similarity": 0.9, "plenty": False, "similar": True, "name": "little, similar"},
    "thresholds": {"similar": 0.6, "plenty": 1000},
    "choice": {"decided_by": "cross-validation", "runner_up": "svm_probe", "confidence": 0.8},
    "evidence": {
        "pictures": 170,
        "stages": STAGES,
        "svm": [],
        "chance_log_loss": 0.69,
        "growth": [],
        "log_loss_at_twice_the_pictures": None,
    },
}


def test_the_choice_and_its_grounds_are_said() -> None:
    section = plan_section(PLAN)
    assert section.lead == (
        "linear_probe: keep the backbone. Chosen by cross-validation before svm_probe, 80% sure."
    )
    assert "140 training pictures, which is little" in section.blocks[0].text


def test_paper_shines_through_the_cell_that_holds_the_letters() -> None:
    drawing = next(block for block in plan_section(PLAN).blocks if isinstance(block, Drawing))
    svg = to_svg(drawing.figure(), "one")
    filled = re.findall(r'style="fill: (#[0-9a-f]{6});([^"]*)"', svg)
    opaque = {colour for colour, rest in filled if "opacity" not in rest}
    assert not [one for one in opaque if min(int(one[i : i + 2], 16) for i in (1, 3, 5)) > 0xD0]
