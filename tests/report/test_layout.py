"""Where the nodes of a network are drawn."""

from __future__ import annotations

import itertools
import math

import pytest

from xpm_alchem.report.layout import places


def apart(where: dict[str, tuple[float, float]], a: str, b: str) -> float:
    return math.dist(where[a], where[b])


def test_a_chain_is_stretched_and_lies_from_left_to_right():
    where = places("abcde", zip("abcd", "bcde", strict=True))
    assert apart(where, "a", "e") == pytest.approx(4, abs=0.2)
    xs = [where[node][0] for node in "abcde"]
    assert xs in (sorted(xs), sorted(xs, reverse=True))


def test_a_ring_is_round():
    ring = "abcdef"
    edges = list(zip(ring, ring[1:] + ring[0], strict=True))
    where = places(ring, edges)
    lengths = [apart(where, a, b) for a, b in edges]
    assert max(lengths) - min(lengths) < 0.1 and 0.7 < lengths[0] < 1.3


def test_parts_and_lonely_nodes_stand_side_by_side():
    where = places("abcdef", [("a", "b"), ("b", "c"), ("d", "e"), ("f", "f")])
    assert len(where) == 6 and min(apart(where, a, b) for a, b in itertools.combinations("abcdef", 2)) > 0.8


def test_no_two_nodes_lie_on_each_other_in_a_star():
    leaves = [f"leaf {n}" for n in range(40)]
    where = places(["hub", *leaves], (("hub", leaf) for leaf in leaves))
    assert min(apart(where, a, b) for a, b in itertools.combinations(leaves, 2)) > 0.05


def test_the_places_are_the_same_every_time():
    edges = [(str(n * n % 17), str(n)) for n in range(17)]
    assert places(map(str, range(17)), edges) == places(map(str, range(17)), edges)


def test_nothing_has_no_places():
    assert places([], []) == {}
