"""Repeats and edges that do not fit, told in plain sentences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from xpm_alchem.estimation import covariance
from xpm_alchem.estimation.covariance import Covariance, Topology
from xpm_alchem.results.estimates import TransformationResult
from xpm_alchem.results.outliers import edge_outliers, edge_residuals, repeat_outliers
from xpm_alchem.results.scatter import Scatter


def results(*repeats, uncertainty=None):
    """Return results by id from lists of repeats."""
    made = {}
    for number, values in enumerate(repeats):
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        mean = float(np.mean(values)) if values else None
        given = (uncertainty,) * len(values)
        numbers = tuple(range(1, len(values) + 1))
        name = f"t{number}"
        made[name] = TransformationResult(name, name, "solvent", tuple(values), given, mean, sd, None, numbers, "P")
    return made


def outliers(*repeats):
    made = results(*repeats)
    return repeat_outliers(made, Scatter(made))


USUAL = ([0.0, 0.2, 0.1], [1.0, 1.2, 0.9], [3.0, 2.8, 3.1], [-1.0, -1.1, -0.9])


def test_a_repeat_far_from_the_others_is_named():
    (found,) = outliers(*USUAL, [2.0, 2.1, -4.0, 1.9])
    assert (found.transformation, found.repeats) == ("t4", (3,))
    assert found.deviation == pytest.approx(-6.0)
    assert "repeat 3 lies 6.00 kcal/mol below the mean of the others (z = -" in found.sentence


def test_three_repeats_are_enough_to_tell():
    (found,) = outliers(*USUAL, [5.0, 0.1, 0.0])
    assert found.repeats == (1,) and "above" in found.sentence


def test_of_two_repeats_none_can_be_told_to_be_wrong():
    (found,) = outliers(*USUAL, *USUAL, *USUAL, [0.0, 4.0])
    assert found.repeats == (1, 2)
    assert "two repeats 1 and 2 are 4.00 kcal/mol apart" in found.sentence and "a third would tell" in found.sentence


def test_usual_scatter_names_nobody():
    rng = np.random.default_rng(7)
    assert outliers(*(rng.normal(0, 0.3, 3).tolist() for _ in range(100))) == []


def test_a_transformation_alone_is_judged_by_what_is_usual_elsewhere():
    assert outliers([0.0, 0.1, -0.2]) == []
    assert [one.repeats for one in outliers([0.0, 0.1, 8.0])] == [(3,)]


def test_nothing_is_said_of_single_repeats_and_of_none():
    assert outliers([1.0], []) == []


def test_equal_repeats_do_not_make_a_small_deviation_an_outlier():
    assert outliers(*([[1.0, 1.0, 1.0]] * 3), [1.0, 1.0, 1.001]) == []


# ------------------------------------------------------------------------------------------------------------ edges
def topology(nodes, ends):
    tails, heads = (np.array([pair[i] for pair in ends], dtype=np.int64) for i in (0, 1))
    return Topology(nodes, heads, tails)


ENDS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 4)]


def test_the_deviation_is_that_from_the_network_without_the_edge():
    made, rng = topology(5, ENDS), np.random.default_rng(3)
    values, variances = rng.normal(0, 1, 7), rng.uniform(0.1, 0.5, 7)
    deviations, z = edge_residuals(made, values, variances)
    for edge in range(6):
        weights = np.where(np.arange(7) == edge, 0.0, 1 / variances)
        rest = Covariance(made, weights)
        predicted = made.differences(rest.apply(made.divergence(weights * values)))[edge]
        spread = np.sqrt(variances[edge] + rest.own()[edge])
        assert deviations[edge] == pytest.approx(values[edge] - predicted)
        assert z[edge] == pytest.approx((values[edge] - predicted) / spread)
    assert np.isnan(z[6])  # on no cycle


def test_a_bad_edge_is_named_and_not_its_neighbours():
    values = np.zeros(7)
    values[4] = 3.0
    (found,) = edge_outliers(topology(5, ENDS), values, np.full(7, 0.04))
    assert found.edges == (4,) and found.deviation == pytest.approx(3.0)
    assert found.sentence(tuple("abcdefg")) == (
        f"e is 3.00 kcal/mol off what the rest of the network says (z = {found.z:.1f})"
    )


def test_on_a_single_cycle_it_cannot_be_told_which_edge_is_wrong():
    (found,) = edge_outliers(topology(3, [(0, 1), (1, 2), (2, 0)]), np.array([0.0, 0.0, 5.0]), np.full(3, 0.04))
    assert sorted(found.edges) == [0, 1, 2] and "which cannot be told" in found.sentence(("a", "b", "c"))


def test_edges_that_fit_and_trees_name_nobody():
    assert edge_outliers(topology(5, ENDS), np.zeros(7), np.full(7, 0.04)) == []
    assert edge_outliers(topology(3, [(0, 1), (1, 2)]), np.array([50.0, np.nan]), np.array([0.01, np.nan])) == []


def plain_residuals(made, values, variances):
    """Return deviations and z by dense matrices, each edge against the network without it."""
    known = np.isfinite(values) & np.isfinite(variances)
    ends = np.eye(made.nodes)[made.heads] - np.eye(made.nodes)[made.tails]
    deviations, z = np.full((2, len(values)), np.nan)
    for edge in np.flatnonzero(known):
        others = known & (np.arange(len(values)) != edge)
        weights = np.where(others, 1.0 / np.where(known, variances, 1.0), 0.0)
        parts = made.parts(weights)
        if parts[made.heads[edge]] != parts[made.tails[edge]]:
            continue
        inverse = np.linalg.pinv(ends.T @ (weights[:, None] * ends), rcond=1e-10, hermitian=True)
        predicted = ends[edge] @ inverse @ ends.T @ (weights * np.where(known, values, 0.0))
        deviations[edge] = values[edge] - predicted
        z[edge] = deviations[edge] / np.sqrt(variances[edge] + ends[edge] @ inverse @ ends[edge])
    return deviations, z


def plain_outliers(made, values, variances):
    """Return (edge, deviation, z) of the worst edges one after another, each time reckoned from the beginning."""
    values, found = values.copy(), []
    while len(found) < 20:
        deviations, z = plain_residuals(made, values, variances)
        if not np.isfinite(z).any() or np.nanmax(np.abs(z)) <= 3.0:
            return found
        worst = int(np.nanargmax(np.abs(z)))
        alike = np.flatnonzero(np.isclose(np.abs(z), abs(z[worst]), rtol=1e-6, atol=0.0))
        found.append((set(alike.tolist()), abs(deviations[worst]), abs(z[worst])))
        values[alike] = np.nan
    return found


@st.composite
def measured(draw):
    """Networks of one or two parts with cycles, doubled edges, edges without a value, and edges that do not fit."""
    choose = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes, chords = draw(st.integers(2, 16)), draw(st.integers(0, 12))
    ends = [(int(choose.integers(0, n)), n) for n in range(1, nodes) if n != draw(st.integers(1, 40))]
    ends += [(int(a), int(b)) for a, b in choose.integers(0, nodes, (chords, 2)) if a != b]
    ends += ends[: draw(st.integers(0, 3))]
    made, truth = topology(nodes, ends or [(0, 1)]), choose.normal(0, 3, nodes)
    variances = choose.lognormal(-3, 1, len(made.heads))
    values = made.differences(truth) + choose.normal(0, np.sqrt(variances))
    wrong = choose.random(len(values)) < draw(st.sampled_from([0.0, 0.1, 0.4]))
    values[wrong] += choose.normal(0, 5, np.count_nonzero(wrong))
    values[choose.random(len(values)) < draw(st.sampled_from([0.0, 0.0, 0.3]))] = np.nan
    return made, values, variances


@pytest.mark.parametrize("sparse", [False, True])
@given(network=measured())
@settings(deadline=None, max_examples=60)
def test_outliers_are_those_that_dense_matrices_find_from_the_beginning_each_time(network, sparse):
    made, values, variances = network
    with pytest.MonkeyPatch.context() as patch:
        if sparse:
            patch.setattr(covariance, "_DENSE_NODES", 0)
        deviations, z = edge_residuals(made, values, variances)
        found = edge_outliers(made, values, variances)
    plain = plain_residuals(made, values, variances)
    assert np.allclose(deviations, plain[0], rtol=1e-7, atol=1e-9, equal_nan=True)
    assert np.allclose(z, plain[1], rtol=1e-7, atol=1e-9, equal_nan=True)
    expected = plain_outliers(made, values, variances)
    assert [set(one.edges) for one in found] == [edges for edges, _, _ in expected]
    for one, (_, deviation, worst) in zip(found, expected, strict=True):
        assert abs(one.z) == pytest.approx(worst, rel=1e-6)
        assert abs(one.deviation) == pytest.approx(deviation, rel=1e-6) or len(one.edges) > 1


def test_repeats_are_judged_as_one_by_one():
    choose = np.random.default_rng(5)
    made = results(*(choose.standard_t(2, n).tolist() for n in choose.integers(1, 7, 150)))
    scatter = Scatter(made)
    expected = {}
    for result in made.values():
        for i, value in enumerate(result.repeats if len(result.repeats) > 2 else ()):
            others = np.delete(np.array(result.repeats), i)
            prior = scatter.prior_from_others(result.id)
            degrees = prior.degrees + len(others) - 1
            variance = (prior.degrees * prior.scale + np.sum((others - others.mean()) ** 2)) / degrees
            t = (value - others.mean()) / np.sqrt(variance * (1 + 1 / len(others)))
            z = -np.sign(t) * stats.norm.ppf(stats.t.cdf(-abs(t), degrees))
            if abs(z) > 3.5:
                expected[result.id, (i + 1,)] = z
    found = {
        (one.transformation, one.repeats): one.z for one in repeat_outliers(made, scatter) if len(one.repeats) == 1
    }
    assert len(expected) > 3 and found == pytest.approx(expected)
