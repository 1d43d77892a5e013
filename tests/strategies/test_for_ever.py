"""Where repeats go in a campaign without an end, and what a transformation closed by the budget gets."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.plan.strategy import StrategyPlan
from xpm_alchem.results.estimates import CountedResult, TransformationResult
from xpm_alchem.strategies.choose import make_strategy
from xpm_alchem.strategies.for_ever import more_weights
from xpm_alchem.strategy import AWAKE, DORMANT, Counts, StrategyState, iterate


def result(*repeats: float, cost: float = 1.0, blocked: bool = False) -> CountedResult:
    mean = sum(repeats) / len(repeats) if repeats else None
    sd = None
    if mean is not None and len(repeats) > 1:
        sd = math.sqrt(sum((x - mean) ** 2 for x in repeats) / (len(repeats) - 1))
    made = TransformationResult("t", "t", "vacuum", repeats, (None,) * len(repeats), mean, sd, None)
    return CountedResult(len(repeats), made, cost=cost, blocked=blocked)


def chosen(results: dict[str, CountedResult], **to_come: int) -> list[str]:
    return [t for t, weight in more_weights(results, to_come).items() if weight]


def test_the_next_repeat_goes_where_it_lowers_the_variance_most_for_its_cost():
    assert chosen({"calm": result(0.0, 0.1), "wild": result(0.0, 2.0)}) == ["wild"]
    assert chosen({"few": result(0.0, 1.0), "many": result(*[0.0, 1.0] * 4)}) == ["few"]
    assert chosen({"cheap": result(0.0, 1.0), "dear": result(0.0, 1.0, cost=9.0)}) == ["cheap"]
    assert chosen({"none": result(), "wild": result(0.0, 9.0)}) == ["none"]
    assert chosen({"unknown cost": result(cost=math.nan), "wild": result(0.0, 9.0)}) == ["unknown cost"]
    assert chosen({"alike": result(1.0, 1.0), "same": result(1.0, 1.0, 1.0)}) == ["alike"]  # no scatter anywhere


def test_a_quarter_of_the_network_gets_one_at_a_time():
    results = {f"t{n}": result(0.0, 1.0) for n in range(8)}
    assert chosen(results) == ["t0", "t1"]
    assert chosen(results, t0=1) == ["t1"]
    assert chosen(results, t0=1, t5=1) == []


def test_what_is_blocked_gets_nothing():
    weights = more_weights({"a": result(blocked=True), "b": result(0.0, 1.0)}, {})
    assert weights == {"a": None, "b": 1.0}
    assert more_weights({"a": result(blocked=True)}, {}) == {"a": None}


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.floats(-5, 5), max_size=5), min_size=1),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2)),
)
def test_there_is_always_more_to_do_and_never_more_than_a_quarter(repeats, to_come):
    results = {t: result(*values) for t, values in repeats.items()}
    wanted, coming = math.ceil(len(results) / 4), sum(to_come.get(t, 0) for t in results)
    assert len(chosen(results, **to_come)) == max(0, wanted - coming)


@pytest.mark.parametrize(("names", "to_come"), [({}, 0), ({"target_standard_error": None, "max_runs": 2}, 0)])
def test_a_optimal_without_end_is_itself_without_ends(names, to_come):
    strategy = make_strategy("a-optimal", names).without_end()
    ends = attrs.asdict(strategy.settings)
    assert (ends["target_standard_error"], ends["least_gain"], ends["max_runs"]) == (None, None, None)
    assert ends["pilot"] == 3
    assert make_strategy("uniform", {}).without_end() is None


# ------------------------------------------------------------------------------------------------ closed by the budget
@pytest.mark.parametrize("mode", ["partial", "full"])
def test_a_closed_transformation_keeps_what_it_has_and_gets_nothing_new(mode):
    counts = {"a": Counts(complete=1, running=1, spare=1, closed=True), "b": Counts(complete=1)}
    plan = StrategyPlan(mode=mode)
    made = iterate(plan, StrategyState(), counts, lambda to_come: dict.fromkeys(counts, 1.0), 0.0)
    assert set(made.create) == {"b"}
    assert not made.action.get("a") and not made.cancel.get("a") and not made.unwanted.get("a")


def test_a_strategy_is_not_kept_awake_by_a_closed_transformation():
    counts = {"a": Counts(complete=1, closed=True)}
    assert iterate(StrategyPlan(), StrategyState(), counts, lambda _: {"a": 1.0}, 0.0).state.status == DORMANT
    counts = {"a": Counts(complete=1)}
    assert iterate(StrategyPlan(), StrategyState(), counts, lambda _: {"a": 1.0}, 0.0).state.status == AWAKE
