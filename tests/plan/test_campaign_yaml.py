"""campaign.yaml: every key checked, near misses named, nothing executed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.base.durations import duration
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.base.near_miss import unknown_key
from xpm_alchem.plan.campaign_yaml import Plan, parse_plan, read_plan
from xpm_alchem.plan.restart_patterns import RestartPattern
from xpm_alchem.plan.strategy import StrategyPlan

HEAD = "name: tyk2\nnetwork: network.json\n"
FILE = Path("/somewhere/campaign.yaml")


def parse(text: str) -> Plan:
    return parse_plan(HEAD + text, FILE)


def test_a_plan_needs_a_name_and_a_network_only():
    assert parse("") == Plan(name="tyk2", network=Path("/somewhere/network.json"))


def test_the_defaults_are_alchemiscale_s():
    plan = parse("").strategy
    assert (plan.mode, plan.task_scaling, plan.max_tasks_per_transformation, plan.max_tasks_per_network) == (
        "partial",
        "exponential",
        3,
        None,
    )
    assert (plan.name, plan.normalization, plan.sleep_interval) == ("uniform", "max", 0.0)
    assert (plan.extends_preference, plan.patience) == (0.0, 600.0)


def test_the_file_of_measured_values_is_relative_to_the_campaign_s():
    assert parse("experimental: ../ligands.csv").experimental == Path("/ligands.csv")
    assert parse("experimental: null").experimental is None
    with pytest.raises(CampaignError, match="experimental: 3 is not a text"):
        parse("experimental: 3")


def test_a_campaign_may_have_no_strategy():
    assert parse("strategy: {name: null, mode: disabled}").strategy == StrategyPlan(name=None, mode="disabled")


def test_every_key_is_read():
    plan = parse("""
workspace: cluster
launcher: gpu
strategy:
  name: connectivity
  settings: {max_runs: 2}
  mode: full
  task_scaling: linear
  normalization: sum
  max_tasks_per_transformation: 4
  max_tasks_per_network: 20
  sleep_interval: 5min
  extends_preference: 0.25
  patience: 1h
max_retries: 0
restarts:
  - {pattern: 'CUDA_ERROR', allowed: 5}
  - {pattern: '^OSError', allowed: 1}
trusted_modules: [lab.protocols, mine]
""")
    assert plan == Plan(
        name="tyk2",
        network=Path("/somewhere/network.json"),
        workspace="cluster",
        launcher="gpu",
        strategy=StrategyPlan("connectivity", {"max_runs": 2}, "full", "linear", "sum", 4, 20, 300.0, 0.25, 3600.0),
        max_retries=0,
        restarts=(RestartPattern("CUDA_ERROR", 5), RestartPattern("^OSError", 1)),
        trusted_modules=("lab.protocols", "mine"),
    )


def test_a_strategy_may_be_a_name_alone():
    assert parse("strategy: connectivity").strategy == StrategyPlan(name="connectivity")


def test_a_launcher_may_be_a_profile_in_place():
    assert parse("launcher: {kind: local, slots: 2}").launcher == {"kind": "local", "slots": 2}


@pytest.mark.parametrize("text", ["workspace:", "max_retries:", "restarts:", "trusted_modules:", "restarts: []"])
def test_an_empty_optional_key_means_its_default(text):
    assert parse(text) == parse("")


def test_a_relative_network_is_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_plan("name: a\nnetwork: ../n.json", Path("sub/campaign.yaml")).network == tmp_path / "n.json"
    assert parse_plan("name: a\nnetwork: ~/n.json", FILE).network == Path.home() / "n.json"
    assert parse_plan("name: a\nnetwork: /data/n.json", FILE).network == Path("/data/n.json")


# --------------------------------------------------------------------------------------------------- near misses
@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("stratgey: uniform", "strategy"),
        ("max_retry: 3", "max_retries"),
        ("restart: []", "restarts"),
        ("budgets: {total: 1}", "budget"),
        ("budget: {totl: 1}", "total"),
        ("budget: {per_results: 1}", "per_result"),
        ("budget: {on_exhaust: stop}", "on_exhausted"),
        ("laucher: gpu", "launcher"),
        ("Workspace: x", "workspace"),
        ("trusted_module: [a]", "trusted_modules"),
        ("strategy: {task_scalling: linear}", "task_scaling"),
        ("strategy: {normalisation: sum}", "normalization"),
        ("strategy: {max_task_per_network: 3}", "max_tasks_per_network"),
        ("strategy: {sleep_intervall: 3}", "sleep_interval"),
        ("restarts: [{patern: CUDA, allowed: 3}]", "pattern"),
        ("restarts: [{pattern: CUDA, alowed: 3}]", "allowed"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_nearest_one(text, near):
    with pytest.raises(CampaignError, match=rf"campaign\.yaml.*unknown key '.*'; did you mean '{near}'\?"):
        parse(text)


def test_a_key_like_no_other_is_refused_with_all_known_ones():
    with pytest.raises(CampaignError, match=r"unknown key 'xyz'; known are: budget, default_restarts, .*launcher"):
        parse("xyz: 1")
    assert unknown_key(5, ["b", "a"], "here") == "here: unknown key '5'; known are: a, b."


# ------------------------------------------------------------------------------------------------- wrong values
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workspace: 3", "workspace: 3 is not a text"),
        ("workspace: ' '", "workspace: ' ' is not a text"),
        ("launcher: 3", "launcher: 3 is not a text"),
        ("launcher: [gpu, 5]", r"launcher\[1\]: 5 is not a text"),
        ("launcher: []", "launcher: names none"),
        ("launcher:", "launcher: None is not a text"),
        ("strategy: 3", "strategy: 3 is not a mapping"),
        ("strategy:", "strategy: None is not a mapping"),
        ("strategy: [uniform]", "strategy: .* is not a mapping"),
        ("strategy: {name: 3}", r"strategy\.name: 3 is not a text"),
        ("strategy: {settings: 3}", r"strategy\.settings: 3 is not a mapping"),
        ("strategy: {mode: fast}", r"strategy\.mode: 'fast' is not one of partial, full, disabled"),
        ("strategy: {mode: [full]}", r"strategy\.mode: \['full'\] is not one of"),
        ("strategy: {task_scaling: log}", r"task_scaling: 'log' is not one of linear, exponential"),
        ("strategy: {normalization: mean}", r"normalization: 'mean' is not one of max, sum"),
        ("strategy: {max_tasks_per_transformation: 0}", "0 is not a whole number of at least 1"),
        ("strategy: {max_tasks_per_transformation: 1.5}", "1.5 is not a whole number"),
        ("strategy: {max_tasks_per_transformation: true}", "True is not a whole number"),
        ("strategy: {max_tasks_per_transformation: null}", "None is not a whole number"),
        ("strategy: {max_tasks_per_network: -1}", "-1 is not a whole number"),
        ("strategy: {max_tasks_per_network: '3'}", "'3' is not a whole number"),
        ("strategy: {sleep_interval: soon}", r"sleep_interval: 'soon' is no duration"),
        ("strategy: {patience: soon}", r"patience: 'soon' is no duration"),
        ("strategy: {extends_preference: 1.5}", r"extends_preference: 1.5 is not a number from 0 to 1"),
        ("strategy: {extends_preference: true}", "True is not a number from 0 to 1"),
        ("strategy: {extends_preference: .nan}", "nan is not a number from 0 to 1"),
        ("strategy: {name: null}", "there is no strategy .* so mode must be 'disabled'"),
        ("max_retries: -1", "max_retries: -1 is not a whole number of at least 0"),
        ("max_retries: true", "max_retries: True is not a whole number"),
        ("max_retries: many", "max_retries: 'many' is not a whole number"),
        ("restarts: CUDA", "restarts: 'CUDA' is not a list"),
        ("restarts: [CUDA]", r"restarts\[0\]: 'CUDA' is not a mapping"),
        ("restarts: [{pattern: CUDA}]", r"restarts\[0\]: 'allowed' is missing"),
        ("restarts: [{allowed: 3}]", r"restarts\[0\]: 'pattern' is missing"),
        ("restarts: [{pattern: a, allowed: 1}, {pattern: a, allowed: 0}]", r"restarts\[1\]\.allowed: 0 is not a whole"),
        ("restarts: [{pattern: '', allowed: 1}]", r"restarts\[0\]\.pattern: '' is not a text"),
        ("restarts: [{pattern: 7, allowed: 1}]", r"restarts\[0\]\.pattern: 7 is not a text"),
        ("trusted_modules: lab", "trusted_modules: 'lab' is not a list"),
        ("trusted_modules: [1]", r"trusted_modules\[0\]: 1 is not a text"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_key(text, message):
    with pytest.raises(CampaignError, match=message):
        parse(text)


@pytest.mark.parametrize("pattern", ["(", "[a", "*a", "(?P<x", r"\\"[:1]])
def test_a_broken_regular_expression_is_refused_when_it_is_given(pattern):
    with pytest.raises(CampaignError, match=r"restarts\[0\]\.pattern: .* is no regular expression"):
        parse(f"restarts: [{{pattern: '{pattern}', allowed: 3}}]")


@pytest.mark.parametrize(
    "name", ["''", "a/b", "../x", ".hidden", "a b", "-x", "ü", "a" * 101, "3", "2026-01-05", "null", "[a]"]
)
def test_a_name_that_is_no_name_is_refused(name):
    with pytest.raises(CampaignError, match="name: "):
        parse_plan(f"name: {name}\nnetwork: n.json", FILE)


@pytest.mark.parametrize("missing", ["name", "network"])
def test_a_plan_without_a_name_or_a_network_is_refused(missing):
    text = "\n".join(line for line in HEAD.splitlines() if not line.startswith(missing + ":"))
    with pytest.raises(CampaignError, match=f"'{missing}' is missing"):
        parse_plan(text, FILE)


@pytest.mark.parametrize("network", ["~nosuchuser12345/n.json", '"a\\0b"'])
def test_a_network_path_that_cannot_be_a_path_is_refused(network):
    with pytest.raises(CampaignError, match="network: "):
        parse_plan(f"name: a\nnetwork: {network}", FILE)


# ------------------------------------------------------------------------------------------------------ durations
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("90s", 90),
        ("90 sec", 90),
        ("5m", 300),
        ("5 min", 300),
        ("1.5h", 5400),
        ("2 hours", 7200),
        ("1 hour", 3600),
        ("2H", 7200),
        ("1d", 86400),
        ("3 days", 259200),
        ("02:00:00", 7200),
        ("100:00:01", 360001),
        (" 10s ", 10),
    ],
)
def test_durations(given, seconds):
    assert duration(given, "here") == seconds


@pytest.mark.parametrize(
    "given",
    [-1, "-1s", "", "soon", "5 ages", "1:70:00", "01:30", True, None, [], {}, "h", "1e3", math.nan, math.inf],
)
def test_what_is_no_duration_is_refused(given):
    with pytest.raises(CampaignError, match=r"here: .* is no duration"):
        duration(given, "here")


@pytest.mark.parametrize("given", [10**400, "9" * 400, f"{'9' * 400}:00:00"], ids=["number", "text", "clock"])
def test_a_duration_that_no_float_can_hold_is_refused(given):
    with pytest.raises(CampaignError, match=r"here: .* is no duration"):
        duration(given, "here")


def test_an_unquoted_time_of_day_means_hours_minutes_seconds():
    assert parse("strategy: {sleep_interval: 02:00:00}").strategy.sleep_interval == 7200
    assert parse("strategy: {sleep_interval: 2:00:00}").strategy.sleep_interval == 7200  # YAML reads it in base 60


# ----------------------------------------------------------------------------------------------------------- YAML
@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.mkdir [{path}]", "!!python/object/new:os.mkdir [{path}]", "!!python/name:os.mkdir"],
)
def test_a_python_tag_is_an_error_not_an_execution(tmp_path, tag):
    trace = tmp_path / "trace"
    with pytest.raises(CampaignError, match="not valid YAML: line 3"):
        parse("workspace: " + tag.format(path=trace))
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: b: c", "\tname: x", "a: 'x", "&a", "? [a]\n: b", "a: \x07", "name: 2026-02-30", "[" * 1500],
    ids=lambda text: repr(text[:10]),
)
def test_what_is_no_yaml_is_refused(text):
    with pytest.raises(CampaignError, match=r"campaign\.yaml.*not valid YAML|not a campaign"):
        parse_plan(text, FILE)


@pytest.mark.parametrize("text", ["", "3", "[a, b]", "just text", "---"])
def test_yaml_without_keys_is_no_campaign(text):
    with pytest.raises(CampaignError, match="not a campaign: it holds no keys"):
        parse_plan(text, FILE)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(CampaignError, match="there is no such campaign file"):
        read_plan(tmp_path / "campaign.yaml")
    with pytest.raises(CampaignError, match=r"a directory; give the campaign\.yaml in it"):
        read_plan(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CampaignError, match=r"binary\.yaml: cannot be read"):
        read_plan(tmp_path / "binary.yaml")


VALUES = st.recursive(
    st.sampled_from(["null", "true", "3", "-1", "1.5", "a", "''", "2026-02-30", ".nan", ".inf", "1:30", "~", "'('"]),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(["name", "pattern", "allowed", "mode", "x", "1"]), inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        )
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(
    ["name", "network", "workspace", "launcher", "strategy", "max_retries", "restarts", "trusted_modules", "3", "~"]
)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(content=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_values_give_a_plan_or_a_clear_error(content):
    text = "".join(f"{key}: {value}\n" for key, value in ({"name": "a", "network": "n"} | content).items())
    try:
        assert isinstance(parse_plan(text, FILE), Plan)
    except CampaignError as error:
        assert str(FILE) in str(error)


# ---------------------------------------------------------------------------------------------------- differences
def test_differences_are_told_key_by_key():
    before = parse("strategy: {name: uniform, max_tasks_per_transformation: 3}\nmax_retries: 3")
    after = parse("strategy: {name: connectivity, max_tasks_per_transformation: 5}\nmax_retries: 3\nlauncher: gpu")
    assert before.differences(after) == [
        "launcher: local -> gpu",
        "strategy.max_tasks_per_transformation: 3 -> 5",
        "strategy.name: uniform -> connectivity",
    ]


def test_differences_of_a_launcher_in_place():
    before, after = parse("launcher: {slots: 2, threads: 1}"), parse("launcher: {slots: 4, margin: 5s, threads: 1}")
    assert before.differences(after) == ["launcher.margin: None -> 5s", "launcher.slots: 2 -> 4"]
    assert before.differences(parse("launcher: gpu")) == ["launcher: {'slots': 2, 'threads': 1} -> gpu"]


def test_a_changed_restart_pattern_is_a_difference():
    (line,) = parse("").differences(parse("restarts: [{pattern: CUDA, allowed: 2}]"))
    assert line.startswith("restarts: ") and "CUDA" in line


def test_a_plan_does_not_differ_from_itself_nor_by_its_place():
    plan = parse("strategy: connectivity")
    assert plan.differences(plan) == []
    moved = parse_plan(HEAD + "strategy: connectivity\nworkspace: other", Path("/elsewhere/campaign.yaml"))
    assert plan.differences(moved) == []
