"""The budget section, amounts, and the text of a campaign.yaml with another budget."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.plan.amounts import Amount, amount_text, same_unit
from xpm_alchem.plan.budget import Budget
from xpm_alchem.plan.campaign_yaml import parse_plan
from xpm_alchem.plan.text import with_budget

FILE = Path("/somewhere/campaign.yaml")
HEAD = "name: a\nnetwork: n.json\n"


def parse(**section) -> Budget:
    return Budget.parse(section, "budget")


def refusal(**section) -> str:
    with pytest.raises(CampaignError) as caught:
        parse(**section)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------------ amounts
@pytest.mark.parametrize(
    ("text", "amount"),
    [
        (200, Amount(200.0)),
        ("200", Amount(200.0)),
        ("2000 gpu-h", Amount(2000.0, "gpu-h")),
        ("2000gpu-h", Amount(2000.0, "gpu-h")),
        (" 1.5e3 EUR ", Amount(1500.0, "EUR")),
        (".5 GPU hours", Amount(0.5, "GPU hours")),
        ("3 €", Amount(3.0, "€")),
        ("3 CO2 kg", Amount(3.0, "CO2 kg")),
    ],
)
def test_an_amount_is_a_number_with_or_without_a_unit(text, amount):
    assert Amount.parse(text, "here") == amount


@pytest.mark.parametrize(
    "bad", ["", "many", "-3", -3, "3/h", True, None, float("nan"), "2,000", "1 2", [3], "1e999", 10**400]
)
def test_what_is_no_amount_is_refused(bad):
    with pytest.raises(CampaignError, match=r"here: .* is no amount. Give for example"):
        Amount.parse(bad, "here")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("10/h", Amount(10.0)),
        ("10 EUR/h", Amount(10.0, "EUR")),
        ("10 gpu-h / hour", Amount(10.0, "gpu-h")),
        ("10 gpu-h per hour", Amount(10.0, "gpu-h")),
        ("0.5 core-h/h", Amount(0.5, "core-h")),
    ],
)
def test_a_rate_is_an_amount_for_an_hour(text, amount):
    assert Amount.parse_rate(text, "here") == amount


@pytest.mark.parametrize("bad", [10, "10", "10/day", "/h", "x/h", "10 gpu-h", None, "10 per"])
def test_what_is_no_rate_is_refused(bad):
    with pytest.raises(CampaignError, match="is no rate"):
        Amount.parse_rate(bad, "here")


@pytest.mark.parametrize("other", ["gpu-h", "GPU-h", "gpu_h", "gpu h", "GPU hours", "gpu-hour", "gpuh", "Gpu-Hrs"])
def test_spellings_of_a_unit_are_one_unit(other):
    assert same_unit("gpu-h", other)
    assert not same_unit("core-h", other)
    assert not same_unit("EUR", other)


@given(st.floats(0, 1e12))
def test_amounts_are_said_to_three_digits(value):
    assert float(amount_text(value)) == pytest.approx(value, rel=5e-3, abs=1e-300)
    assert amount_text(value, "EUR") == f"{amount_text(value)} EUR"


# ------------------------------------------------------------------------------------------------------- the section
def test_a_budget_is_read_with_its_unit():
    made = parse(
        total="2000 gpu-h", rate="50/h", per_result="12 GPU hours", until="never", on_exhausted="stop", grace=3
    )
    assert made == Budget(2000.0, 50.0, 12.0, 3.0, "never", "stop", "gpu-h")
    assert (made.is_endless, made.ends_at) == (True, None)
    assert Budget.parse(None, "budget") == parse(total=None, until=None) == Budget()


def test_total_may_be_nothing_but_rate_and_result_may_not():
    assert parse(total=0).total == 0.0
    assert "rate: '0/h' must be more than nothing" in refusal(rate="0/h")
    assert "per_result: 0 must be more than nothing" in refusal(per_result=0)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"totl": 3}, "unknown key 'totl'; did you mean 'total'?"),
        ({"unit": "EUR"}, "unknown key 'unit'"),
        ({"total": "3 EUR", "per_result": "1 gpu-h"}, "'EUR' and 'gpu-h' (per_result) are two units"),
        ({"grace": 0.5}, "budget.grace: 0.5 is not a number of at least 1"),
        ({"grace": "x"}, "budget.grace: 'x' is not"),
        ({"on_exhausted": "kill"}, "'kill' is not one of finish, stop"),
        ({"until": "soon"}, "budget.until: 'soon' is no date"),
        ({"until": 20261224}, "is no date"),
        ({"until": "2026-02-30"}, "is no date"),
        ({"until": "9999-12-31"}, "is no date"),
        ({"until": True}, "is no date"),
    ],
)
def test_what_makes_no_sense_is_refused(section, sentence):
    assert sentence in refusal(**section)


def test_a_section_that_is_no_mapping_is_refused():
    with pytest.raises(CampaignError, match="not a mapping"):
        Budget.parse(200, "budget")


def test_a_date_lasts_to_its_end_and_a_time_is_meant_to_the_second():
    day = parse(until="2026-12-24").ends_at
    assert day == datetime.datetime(2026, 12, 25).timestamp()
    assert parse(until=datetime.date(2026, 12, 24)).ends_at == day
    assert parse(until="2026-12-24 18:00").ends_at == datetime.datetime(2026, 12, 24, 18).timestamp()
    assert parse(until="2026-12-24T18:00:00+01:00").ends_at == 1798131600.0
    text = HEAD + "budget: {until: 2026-12-24}\n"
    assert parse_plan(text, FILE).budget.ends_at == day
    text = HEAD + "budget: {until: 2026-12-24 18:00:00+01:00}\n"
    assert parse_plan(text, FILE).budget.ends_at == 1798131600.0


def test_amounts_must_be_in_the_launchers_unit():
    parse(total="3 GPU hours").check(1.0, "gpu-h", None)
    parse(total=3).check(1.0, "whatever", None)
    with pytest.raises(CampaignError, match="it is in 'EUR', and the launcher counts in 'gpu-h'"):
        parse(total="3 EUR").check(1.0, "gpu-h", None)


def test_a_rate_at_which_nothing_could_ever_start_is_refused():
    parse(rate="4/h").check(4.0, "core-h", None)
    parse(rate="1/h").check(4.0, "core-h", 900.0)
    with pytest.raises(CampaignError, match="1 core-h an hour is less than one attempt can cost"):
        parse(rate="1/h").check(4.0, "core-h", 1800.0)
    with pytest.raises(CampaignError, match="nothing could ever start"):
        parse(rate="1/h").check(4.0, "core-h", None)


# --------------------------------------------------------------------------------------------------- the plan's text
def changed(text: str, **changes) -> tuple[str, Budget]:
    made = with_budget(text, FILE, changes)
    return made, parse_plan(made, FILE).budget


def test_only_the_section_is_written_anew():
    section = "budget: {total: 3 EUR, until: 2026-12-24}   # all we have\n"
    text = f"# mine\nname: a  # x\nnetwork: n.json\n{section}max_retries: 2\n"
    made, budget = changed(text, total="5 EUR", rate="1 EUR/h")
    assert budget == Budget(total=5.0, rate=1.0, until="2026-12-24", unit="EUR")
    assert made.startswith("# mine\nname: a  # x\n") and made.endswith("max_retries: 2\n")


def test_none_takes_a_key_away_and_the_last_one_leaves_no_limit():
    text = HEAD + "budget: {total: 3, rate: 1/h}\n"
    assert changed(text, total=None)[1] == Budget(rate=1.0)
    assert changed(text, total=None, rate=None)[1] == Budget()
    assert changed(HEAD, total=None)[0] == HEAD


def test_a_change_that_changes_nothing_leaves_the_text_alone():
    text = HEAD + "budget: {total: 3}   # all we have\n"
    assert changed(text, total=3.0)[0] == text


@pytest.mark.parametrize("changes", [{"totl": 3}, {"total": "x"}, {"rate": 3}, {"unit": "EUR"}])
def test_a_change_that_makes_no_sense_is_refused(changes):
    with pytest.raises(CampaignError):
        with_budget(HEAD, FILE, changes)


def test_a_budget_that_differs_is_said_key_by_key():
    before, after = (parse_plan(HEAD + f"budget: {{total: {n}}}\n", FILE) for n in (3, 5))
    assert before.differences(after) == ["budget.total: 3.0 -> 5.0"]
