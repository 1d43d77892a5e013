"""What is handed on of a plan holds no address, no arguments of commands and no variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from xpm_alchem.base import safe_yaml
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.plan.secrets import hidden_text, shown_variables, without

FILE = Path("/data/campaign.yaml")
HEAD = "name: a  # the first\nnetwork: n.json\n"


@pytest.mark.parametrize(
    "section",
    [
        "notify: {url: https://hooks.example.org/T0/sesame}",
        "notify:\n  url: 'https://hooks.example.org/?token=sesame'  # ours\n",
        "notify:\n  url: HTTP://sesame.hooks.example.org\n",
        "notify:\n  url: >-\n    https://hooks.example.org/sesame\n  on: [error]\n",
        "notify: {command: [curl, -H, 'Authorization: sesame', 'http://h/sesame']}",
        "notify:\n  command:\n  - tell\n  - --token=sesame  # mine\n",
        "notify:\n  command: tell --token sesame 'it''s sesame'\n",
        "notify:\n  command: |\n    tell sesame\n",
        "notify:\n  command: &words [tell, sesame]\n",
        "launcher: {kind: local, env: {LAB_KEY: sesame, OTHER: sesame}}",
        "launcher: [gpu, {kind: local, env: {LAB_KEY: sesame, OTHER: sesame}}]",
        "launcher:\n  kind: slurm\n  env:\n    LAB_KEY: |\n      sesame\n      sesame\n    N: 3\n",
        "notify: {command: [mail, me]}\n# before: url: https://hooks.example.org/sesame\n",
    ],
)
def test_the_text_of_a_plan_keeps_its_form_and_tells_no_secret(section: str) -> None:
    text = HEAD + section
    parse_plan(text, FILE)
    hidden = hidden_text(text)
    assert "sesame" not in hidden
    assert hidden.startswith(HEAD)
    assert safe_yaml.load(hidden).keys() == safe_yaml.load(text).keys()
    assert hidden_text(hidden) == hidden


def test_a_text_without_secrets_stays_as_it_is() -> None:
    text = HEAD + "strategy:\n  name: uniform  # as ever\nnotify: {command: [tell], on: [error]}\n"
    assert hidden_text(text) == text


def test_what_is_no_yaml_is_not_shown() -> None:
    assert "sesame" not in hidden_text("notify: {url: [sesame")


@pytest.mark.parametrize(
    "section",
    [
        "notify: https://h/sesame",
        "notify: [mail, sesame]",
        "notify: {url: 'https:/h/sesame'}",
        "notify: {url: 'h.example.org/sesame'}",
        "notify: {url: [https://h/sesame]}",
        "notify: {url: {https://h/sesame: }}",
        "notify: {command: {tell: sesame}}",
        "notify: {command: [tell, sesame, 7]}",
        'notify: {command: "tell \'sesame"}',
    ],
)
def test_an_error_tells_no_secret(section: str) -> None:
    with pytest.raises(CampaignError) as raised:
        parse_plan(HEAD + section, FILE)
    assert "sesame" not in str(raised.value)
    assert "notify" in str(raised.value)


def test_a_change_is_told_without_what_changed() -> None:
    one = parse_plan(HEAD + "notify: {url: 'https://h/sesame', command: [tell, sesame]}", FILE)
    launcher = "launcher: {kind: local, slots: 2, env: {A: sesame}}"
    other = parse_plan(
        HEAD + f"notify: {{url: 'https://h/more sesame', command: [mail]}}\n{launcher}".replace(" s", "-s", 1), FILE
    )
    for here, there in ((one, other), (other, one)):
        lines = here.differences(there)
        assert {line.partition(":")[0] for line in lines} == {"notify.url", "notify.command", "launcher"}
        assert "sesame" not in str(lines)
    assert "sesame" not in repr(one)


def test_what_a_program_repeats_of_its_secrets_is_not_kept() -> None:
    said = "no such host hooks.example.org: https://hooks.example.org/T0/sesame-1?key=sesame-2 (sesame-2)"
    url = "https://hooks.example.org/T0/sesame-1?key=sesame-2"
    assert "sesame" not in without(said, (), url)
    assert without("404 Not Found", ["tell", "sesame"], url) == "404 Not Found"
    assert without("bad sesame-9!", ["tell", "-t", "sesame-9"], None) == "bad ***!"


def test_variables_whose_names_tell_of_secrets_are_hidden_from_a_dry_run() -> None:
    given = {"LAB_TOKEN": "a", "wandb_api_key": "b", "PASSWORD": "c", "OPENMM_CPU_THREADS": "2", "PLATFORM": "CUDA"}
    shown = shown_variables(given)
    assert {name for name, value in shown.items() if value != given[name]} == {"LAB_TOKEN", "wandb_api_key", "PASSWORD"}
