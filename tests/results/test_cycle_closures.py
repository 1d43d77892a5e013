"""Closures of cycles: zero for consistent data, as many as there are independent cycles, the worst first."""

from __future__ import annotations

import itertools
import math

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.estimation.covariance import Topology
from xpm_alchem.results import cycle_basis as cycle_basis_module
from xpm_alchem.results.cycle_basis import cycle_basis
from xpm_alchem.results.cycle_closures import CycleClosure, cycle_closures

EXAMPLES = settings(deadline=None, derandomize=True, max_examples=60)
GRAPHS = st.sets(st.sampled_from(list(itertools.combinations(range(8), 2))), max_size=16)


def topology(ends):
    tails, heads = (np.array([pair[i] for pair in ends], dtype=np.int64) for i in (0, 1))
    return Topology(8, heads, tails)


def rank(ends):
    graph = networkx.Graph(list(ends))
    return graph.number_of_edges() - graph.number_of_nodes() + networkx.number_connected_components(graph)


@EXAMPLES
@given(GRAPHS)
def test_the_basis_is_as_short_as_networkx_s(ends):
    found = cycle_basis(8, sorted(ends))
    theirs = networkx.minimum_cycle_basis(networkx.Graph(list(ends)))
    assert sorted(map(len, found)) == sorted(map(len, theirs)) and len(found) == rank(ends)


@EXAMPLES
@given(GRAPHS)
def test_the_cycles_are_cycles_and_independent(ends):
    order = {edge: position for position, edge in enumerate(sorted(ends))}
    rows = np.zeros((rank(ends), len(order)))
    for row, cycle in zip(rows, cycle_basis(8, sorted(ends)), strict=True):
        assert len(set(cycle)) == len(cycle) >= 3
        for a, b in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            row[order[min(a, b), max(a, b)]] = 1 if a < b else -1
    assert len(rows) == 0 or np.linalg.matrix_rank(rows) == len(rows)


def test_a_network_too_large_for_the_shortest_basis_gets_one_all_the_same(monkeypatch):
    monkeypatch.setattr(cycle_basis_module, "_MOST_CANDIDATES", 10)
    ends = list(itertools.combinations(range(5), 2))
    assert len(cycle_basis(5, ends)) == 6


@EXAMPLES
@given(GRAPHS, st.lists(st.floats(-10, 10), min_size=8, max_size=8), st.randoms(use_true_random=False))
def test_consistent_differences_close_whatever_their_direction(ends, values, random):
    ends = [pair if random.random() < 0.5 else pair[::-1] for pair in sorted(ends)]
    made = topology(ends)
    closures = cycle_closures(made, made.differences(np.array(values)), np.full(len(ends), 0.01))
    assert len(closures) == rank(ends)
    assert all(abs(one.closure) < 1e-9 and abs(one.z) < 1e-6 for one in closures)


def test_sum_error_and_z_of_a_triangle():
    made = topology([(0, 1), (1, 2), (0, 2)])
    (one,) = cycle_closures(made, np.array([1.0, 2.0, 3.6]), np.array([0.04, 0.05, 0.16]))
    assert one.nodes == (0, 1, 2)
    assert one.closure == pytest.approx(1.0 + 2.0 - 3.6)
    assert one.standard_error == pytest.approx(0.5) and one.z == pytest.approx(-1.2)


def test_the_worst_come_first_and_edges_without_a_value_close_nothing():
    ends = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (5, 6), (6, 7), (5, 7)]
    values = np.array([0.0, 0.0, 0.3, 0.0, 0.0, 2.0, 0.0, np.nan, 9.0])
    closures = cycle_closures(topology(ends), values, np.full(9, 0.01))
    assert [one.nodes for one in closures] == [(3, 4, 5), (0, 1, 2)]


def test_a_closure_without_an_error_has_no_z_and_one_without_scatter_an_infinite_one():
    assert CycleClosure((0, 1, 2), 1.0, None).z is None
    assert CycleClosure((0, 1, 2), -1.0, 0.0).z == -math.inf
