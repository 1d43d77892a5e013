"""Results of transformations and edges: means, deviations, signs, and what is missing."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.network.index import Edge, Index, Leg, TransformationRecord
from xpm_alchem.results.estimates import CountedResult, edge_results, transformation_results


def record(id_, environment):
    blank = {field.name: "" for field in attrs.fields(TransformationRecord)}
    ends = {"ligand_a_id": "id A", "ligand_b_id": "id B"}
    return TransformationRecord(**blank | ends | {"id": id_, "name": f"t {id_}", "environment": environment})


def index_of(*legs):
    """Return the index of one edge A -> B with legs (id, environment, sign)."""
    records = tuple(record(id_, environment) for id_, environment, _ in legs)
    return Index("n", records, ((),), (Edge("A", "B", tuple(Leg(*leg) for leg in legs)),), {}, ())


def tasks_of(estimates):
    """Return complete tasks by transformation from lists of estimates."""
    return {
        transformation: [
            TaskState(f"{transformation}-{n}", transformation, n, "", status=TaskStatus.COMPLETE, estimate=estimate)
            for n, estimate in enumerate(values, start=1)
        ]
        for transformation, values in estimates.items()
    }


def edge(index, estimates):
    (found,) = edge_results(index, transformation_results(index, tasks_of(estimates)))
    return found


TWO = index_of(("v", "vacuum", 1), ("s", "solvent", 1))


# -------------------------------------------------------------------------------------------------- transformations
def test_mean_deviation_and_standard_error_of_three_repeats():
    result = transformation_results(TWO, tasks_of({"v": [1.0, 2.0, 6.0]}))["v"]
    assert (result.repeats, result.estimate) == ((1.0, 2.0, 6.0), 3.0)
    assert result.sd == pytest.approx(math.sqrt(7.0))  # (4 + 1 + 9) / (3 - 1)
    assert result.standard_error == pytest.approx(math.sqrt(7.0 / 3.0))


def test_one_repeat_has_no_deviation():
    result = transformation_results(TWO, tasks_of({"v": [1.5]}))["v"]
    assert (result.estimate, result.sd, result.standard_error) == (1.5, None, None)


def test_a_transformation_without_results_has_no_estimate():
    result = transformation_results(TWO, {})["s"]
    assert (result.repeats, result.estimate, result.sd, result.protocol_uncertainty) == ((), None, None, None)
    assert (result.name, result.environment) == ("t s", "solvent")


@pytest.mark.parametrize("status", [status for status in TaskStatus if status is not TaskStatus.COMPLETE])
def test_only_complete_tasks_count(status):
    tasks = tasks_of({"v": [1.0, 100.0]})
    tasks["v"][1].status = status
    assert transformation_results(TWO, tasks)["v"].repeats == (1.0,)


def test_a_complete_task_without_an_estimate_is_left_out():
    assert transformation_results(TWO, tasks_of({"v": [1.0, None, 0.0]}))["v"].repeats == (1.0, 0.0)


def test_repeats_are_in_order():
    tasks = tasks_of({"v": [1.0, 2.0, 3.0]})
    tasks["v"].reverse()
    assert transformation_results(TWO, tasks)["v"].repeats == (1.0, 2.0, 3.0)


def test_the_protocol_s_uncertainty_is_the_mean_of_what_it_says():
    tasks = tasks_of({"v": [1.0, 2.0, 3.0]})
    for task, uncertainty in zip(tasks["v"], (0.1, None, 0.3), strict=True):
        task.uncertainty = uncertainty
    assert transformation_results(TWO, tasks)["v"].protocol_uncertainty == pytest.approx(0.2)


def test_what_our_own_strategies_see_of_a_result():
    known = transformation_results(TWO, tasks_of({"v": [1.0, 3.0]}))["v"]
    counted = CountedResult(5, known)
    assert (counted.n_protocol_dag_results, counted.get_estimate()) == (5, 2.0)
    assert counted.get_uncertainty() == pytest.approx(math.sqrt(2.0))


# ------------------------------------------------------------------------------------------------------------ edges
@pytest.mark.parametrize(("sign_v", "sign_s", "value"), [(1, 1, 3.0), (1, -1, -7.0), (-1, 1, 7.0), (-1, -1, -3.0)])
def test_ddg_is_the_later_leg_minus_the_earlier_with_their_signs(sign_v, sign_s, value):
    index = index_of(("v", "vacuum", sign_v), ("s", "solvent", sign_s))
    found = edge(index, {"v": [2.0], "s": [5.0]})
    assert (found.estimate, found.environments, found.name) == (value, ("vacuum", "solvent"), "A -> B")


def test_the_errors_of_both_legs_are_added_in_squares():
    found = edge(TWO, {"v": [0.0, 2.0], "s": [0.0, 4.0]})  # standard errors 1 and 2
    assert (found.estimate, found.standard_error) == (1.0, pytest.approx(math.sqrt(5.0)))


@pytest.mark.parametrize("estimates", [{"v": [1.0], "s": [1.0, 2.0]}, {"v": [1.0], "s": [1.0]}])
def test_an_edge_with_a_single_repeat_has_no_error(estimates):
    found = edge(TWO, estimates)
    assert found.estimate is not None and found.standard_error is None


@pytest.mark.parametrize(
    ("estimates", "missing"), [({"v": [1.0]}, ("t s",)), ({"s": [1.0]}, ("t v",)), ({}, ("t s", "t v"))]
)
def test_missing_legs_are_named_and_there_is_no_estimate(estimates, missing):
    found = edge(TWO, estimates)
    assert (found.missing, found.estimate, found.standard_error) == (missing, None, None)


def test_three_environments_give_two_differences():
    index = index_of(("v", "vacuum", 1), ("s", "solvent", 1), ("c", "complex", -1))
    results = transformation_results(index, tasks_of({"v": [1.0], "s": [3.0], "c": [10.0]}))
    found = edge_results(index, results)
    assert [(result.environments, result.estimate) for result in found] == [
        (("vacuum", "solvent"), 2.0),
        (("solvent", "complex"), -13.0),
    ]


VALUES = st.lists(st.floats(-50, 50), min_size=1, max_size=5)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(v=VALUES, s=VALUES)
def test_turning_both_legs_around_changes_the_sign_of_ddg_and_nothing_else(v, s):
    forth = edge(TWO, {"v": v, "s": s})
    back = edge(index_of(("v", "vacuum", -1), ("s", "solvent", -1)), {"v": v, "s": s})
    assert back.estimate == -forth.estimate and back.standard_error == forth.standard_error


def test_a_transformation_that_computes_both_legs_gives_the_edge_its_ddg():
    whole = index_of(("w", "complex", 1))
    found = edge(whole, {"w": [1.0, 2.0, 3.0]})
    assert (found.estimate, found.environments, found.missing) == (2.0, ("solvent", "complex"), ())
    assert found.sd == pytest.approx(1.0)
    assert edge(whole, {}).missing == ("t w",)
