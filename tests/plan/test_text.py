"""Another strategy section in a campaign.yaml: what else is in the file stays as it is, comments included."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.network.loading import load_network
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.plan.strategy import MODES, SCALINGS, StrategyPlan
from xpm_alchem.plan.templates import campaign_template
from xpm_alchem.plan.text import whole_text, with_strategy

FILE = Path("/somewhere/campaign.yaml")
TEXT = """\
# mine
name: tyk2           # the campaign
network: network.json
strategy:
  # by hand
  name: uniform      # simple
  settings: {repeats: 3}   # enough?
  mode: full
  # max_tasks_per_network: 9

# what follows
max_retries: 2       # few
"""


def changed(text: str, **changes) -> tuple[str, StrategyPlan]:
    made = with_strategy(text, FILE, changes)
    return made, parse_plan(made, FILE).strategy


def test_only_the_section_is_written_anew():
    made, plan = changed(TEXT, name="connectivity", settings={"max_runs": 2}, sleep_interval="5min")
    assert plan == StrategyPlan("connectivity", {"max_runs": 2}, "full", sleep_interval=300.0)
    head, _, rest = TEXT.partition("strategy:")
    assert made.startswith(head)
    assert made.endswith(rest[rest.index("  # max_tasks") :])
    assert "simple" not in made and "enough" not in made


KEPT = {
    "comments": "# 1\nmax_retries: 2 # 2\n",
    "blanks": "max_retries: 2   \n\n\nlauncher: local\n",
    "indented by 4": "launcher:\n    kind: local\n    slots: 2\n",
    "a list indented": "trusted_modules:\n  - a\n  # b comes last\n  - b\n",
    "a list not indented": "trusted_modules:\n- a\n- b\n",
    "aligned": "max_retries:   2\nlauncher:      local\n",
    "in braces": "launcher: { kind: local,  slots: 2 }\n",
    "quoted": "workspace: 'a'\nlauncher: \"local\"\n",
    "folded": "workspace: ./aaaa\n  bbbb\nlauncher: >\n  local\n",
    "anchored": "launcher: &x {kind: local}\n",
    "nothing": "max_retries:\nexperimental: ~\n",
    "as YAML 1.1": "notify:\n  command: mail me\n  on: [error]\nlauncher: {kind: slurm, time: 08:00:00}\n",
    "lines of Windows": "max_retries: 2 # x\r\nlauncher: local\r\n",
    "no end of line": "max_retries: 2",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("section", ["strategy: uniform\n", "strategy:\n    name: uniform # mine\n"])
def test_every_byte_outside_the_section_stays(text, section):
    head = "name: a  # the campaign\nnetwork: n.json\n\n"
    made, plan = changed(head + section + text, mode="full")
    assert made.startswith(head) and made.endswith(text)
    assert plan == StrategyPlan("uniform", mode="full")


def test_settings_are_added_to_those_of_the_same_strategy_and_replace_those_of_another():
    text = "name: a\nnetwork: n.json\nstrategy: {name: connectivity, settings: {max_runs: 4, decay_rate: 0.25}}\n"
    assert changed(text, name="connectivity", settings={"max_runs": 2})[1].settings == {
        "max_runs": 2,
        "decay_rate": 0.25,
    }
    assert changed(text, settings={"max_runs": 2})[1].settings == {"max_runs": 2, "decay_rate": 0.25}
    assert changed(text, name="uniform", settings={"repeats": 2})[1].settings == {"repeats": 2}
    assert changed(text, name="uniform")[1].settings == {}


@pytest.mark.parametrize(
    "section",
    ["", "strategy: uniform\n", "strategy: {name: uniform}", "strategy:\n  name: uniform", "strategy: {}\n"],
)
def test_a_section_of_any_form_can_be_changed(section):
    text = f"name: a\nnetwork: n.json\n{section}"
    assert changed(text, mode="disabled")[1] == StrategyPlan(mode="disabled")
    assert changed(f"{section.rstrip()}\nnetwork: n.json\nname: a", mode="full")[1] == StrategyPlan(mode="full")


@pytest.mark.parametrize(
    "text",
    [
        "{name: a, network: n.json, strategy: {name: uniform}}",
        "name: a\nnetwork: n.json\nlauncher: &x {kind: local}\nstrategy: &s\n  name: uniform\n  mode: full\n",
        "name: a\n'network': n.json\n'strategy':\n  name: |-\n    uniform\nmax_retries: 2\n",
        "---\nname: a\nnetwork: n.json\nstrategy:\n    name:\n        uniform\n...\n",
    ],
)
def test_a_text_that_is_written_unusually_keeps_its_meaning(text):
    before = parse_plan(text, FILE)
    made = parse_plan(with_strategy(text, FILE, {"max_tasks_per_network": 7}), FILE)
    assert made.strategy.max_tasks_per_network == 7
    assert (made.strategy.mode, made.launcher, made.max_retries) == (
        before.strategy.mode,
        before.launcher,
        before.max_retries,
    )


def test_a_strategy_is_dropped_and_given_again():
    dropped, plan = changed(TEXT, name=None)
    assert plan == StrategyPlan(name=None, mode="disabled")
    again, plan = changed(dropped, name="connectivity")
    assert plan == StrategyPlan(name="connectivity", mode="partial")
    assert changed(dropped, name="connectivity", mode="full")[1].mode == "full"
    with pytest.raises(CampaignError, match="there is no strategy"):
        changed(dropped, mode="full")
    assert changed(dropped, max_tasks_per_network=3)[1].mode == "disabled"
    assert "few" in again


def test_what_changes_nothing_leaves_the_text_alone():
    assert with_strategy(TEXT, FILE, {"name": "uniform", "settings": {"repeats": 3}}) == TEXT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mod": "full"}, "strategy: unknown key 'mod'; did you mean 'mode'"),
        ({"mode": "fast"}, "strategy.mode: 'fast' is not one of"),
        ({"settings": [1]}, "strategy.settings: .* is not a mapping"),
        ({"name": 3}, "strategy.name: 3 is not a text"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(CampaignError, match=message):
        with_strategy(TEXT, FILE, changes)


def test_a_campaign_file_of_init_can_be_changed(tmp_path):
    from dummy_protocol import dummy_network

    from xpm_alchem import gufe_seam

    gufe_seam.save(dummy_network([(0, 1)]), tmp_path / "network.json")
    network = load_network(tmp_path / "network.json", ("dummy_protocol",))
    text = campaign_template(network, FILE, name=None, workspace=None, trusted=("dummy_protocol",))
    made, plan = changed(text, name="connectivity", settings={"max_runs": 2})
    assert plan.settings == {"max_runs": 2}
    gone = set(text.splitlines()) - set(made.splitlines())
    assert all(line.startswith("  ") for line in gone)  # of the section alone
    assert made.count("#") > 15


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "mode": st.sampled_from(MODES),
            "task_scaling": st.sampled_from(SCALINGS),
            "max_tasks_per_transformation": st.integers(1, 9),
            "max_tasks_per_network": st.none() | st.integers(1, 9),
            "extends_preference": st.floats(0, 1),
            "patience": st.sampled_from([60, "02:00:00", "5min"]),
            "settings": st.dictionaries(st.sampled_from("abc"), st.none() | st.integers() | st.text(max_size=5)),
        },
    )
)
def test_the_plan_read_back_is_the_one_that_was_meant(changes):
    expected = StrategyPlan.parse({**{"name": "uniform", "mode": "full"}, **changes}, "strategy")
    made = parse_plan(with_strategy(TEXT, FILE, changes), FILE)
    assert made.max_retries == 2
    assert made.strategy.settings == {"repeats": 3, **expected.settings}
    for key in ("mode", "task_scaling", "max_tasks_per_network", "extends_preference", "patience"):
        assert getattr(made.strategy, key) == getattr(expected, key)


def test_a_whole_text_holds_what_it_was_given():
    profile = {"kind": "local", "slots": numpy.int64(2), "env": {"HERE": Path("/data")}}
    text = whole_text({"name": "mine", "network": "network.json", "launcher": (profile, profile), "max_retries": 2})
    plan = parse_plan(text, FILE)
    written = {"kind": "local", "slots": 2, "env": {"HERE": "/data"}}
    assert (plan.name, plan.launcher, plan.max_retries) == ("mine", [written, written], 2)
    assert plan.network == FILE.parent / "network.json"
    assert "&id" not in text  # whether two values are one object says nothing


def test_what_no_text_can_hold_is_refused_by_its_section():
    with pytest.raises(CampaignError, match=r"^launcher: .*object.* is no text, number, list or mapping"):
        whole_text({"name": "mine", "launcher": {"kind": object()}})
