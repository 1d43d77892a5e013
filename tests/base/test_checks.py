"""The checks that sections of YAML share: what passes comes back, what does not is named with its place."""

from __future__ import annotations

import math

import pytest

from xpm_alchem.base import checks
from xpm_alchem.base.errors import CampaignError


def refusal(check, value, *more) -> str:
    """Return why a value is refused."""
    with pytest.raises(CampaignError) as caught:
        check(value, "file: key", *more)
    return str(caught.value)


def test_what_is_as_it_should_be_comes_back():
    assert checks.whole(2, "here", 2) == 2
    assert checks.number(0, "here", 0) == 0.0
    assert checks.share(1, "here") == 1.0
    assert checks.one_of("b", "here", ("a", "b")) == "b"
    assert checks.text(" a b ", "here") == "a b"
    assert checks.mapping({"a": 1}, "here") == {"a": 1}
    assert checks.items(["a"], "here") == ["a"]
    assert checks.items(None, "here") == []


@pytest.mark.parametrize("value", [1, 2.0, "2", True, None, [2]])
def test_a_whole_number_has_a_least_value(value):
    assert refusal(checks.whole, value, 2) == f"file: key: {value!r} is not a whole number of at least 2."


@pytest.mark.parametrize("value", [0.9, True, "1", None, math.nan, math.inf, 10**400])
def test_a_number_has_a_least_value_and_a_bound(value):
    assert refusal(checks.number, value, 1, 9.0).endswith(" is not a number of at least 1.")
    assert refusal(checks.number, 9.0, 1, 9.0).endswith(" 9.0 is too much; it must be below 9.")


@pytest.mark.parametrize("value", [-0.1, 1.1, True, "1", None, math.nan, math.inf, 10**400])
def test_a_share_is_from_0_to_1(value):
    assert refusal(checks.share, value).endswith(" is not a number from 0 to 1.")


@pytest.mark.parametrize("value", ["c", None, ["a"], {"a": 1}])
def test_one_of_names_all_that_are_known(value):
    assert refusal(checks.one_of, value, ("a", "b")) == f"file: key: {value!r} is not one of a, b."


@pytest.mark.parametrize("value", ["", " ", 3, None, ["a"]])
def test_a_text_holds_something(value):
    assert refusal(checks.text, value) == f"file: key: {value!r} is not a text."


def test_what_should_hold_others_is_a_mapping_or_a_list():
    assert refusal(checks.mapping, ["a"]) == "file: key: ['a'] is not a mapping of keys to values."
    assert refusal(checks.mapping, "a", "such as {b: c}") == "file: key: 'a' is not a mapping such as {b: c}."
    assert refusal(checks.items, "a") == "file: key: 'a' is not a list."


def test_a_long_value_is_shown_in_part():
    assert len(refusal(checks.one_of, "x" * 1000, ("a",))) < 120
