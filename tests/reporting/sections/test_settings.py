import shlex

from catsdogs.reporting.sections.settings import settings_section


def test_the_command_can_be_pasted_whatever_the_run_is_called() -> None:
    assert "--run pets-again repeats it." in settings_section("pets", "seed: 0\n", {}, None).lead
    lead = settings_section("my $(run) 'a'", "seed: 0\n", {}, None).lead
    assert "my $(run) 'a'-again" in shlex.split(lead)
