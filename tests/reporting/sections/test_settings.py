from catsdogs.reporting.page.blocks import Code
from catsdogs.reporting.sections.settings import settings_section


def test_a_run_shows_its_settings_an_ensemble_its_command_alone() -> None:
    run = settings_section("catsdogs train --run a", "seed: 0\n", {"torch": "2"}, "torch fp32")
    assert run.lead == "catsdogs train --run a repeats it."
    assert run.blocks[0].rows == (("torch", "2"), ("evaluated by", "torch fp32"))
    assert isinstance(run.blocks[1], Code)
    ensemble = settings_section("catsdogs ensemble a b --run c", None, {}, None)
    assert not any(isinstance(block, Code) for block in ensemble.blocks)
