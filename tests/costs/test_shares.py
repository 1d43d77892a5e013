"""What networks get of slots that all of them want follows their weights, and nobody waits for ever."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from xpm_alchem.costs.shares import Share, Shares

DAY = 24 * 3600.0
weights = st.lists(st.floats(0.05, 1.0), min_size=2, max_size=20)


class Cluster:
    """Slots and networks whose attempts take as long as chance will have it; everybody always wants more."""

    def __init__(self, networks: dict[str, tuple[float, float]], slots: int, seed: int) -> None:
        self.shares, self.slots, self.chance = Shares(), slots, random.Random(seed)
        self.mean = {name: seconds for name, (_, seconds) in networks.items()}
        for name, (weight, _) in networks.items():
            self.shares.of(name).set_weight(weight)
        self.at_work: dict[str, dict[str, float]] = {name: {} for name in networks}
        self.had: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        self.number = 0

    def go_on(self, seconds: float, step: float = 60.0, wanting: list[str] | None = None) -> None:
        wanting = list(self.at_work) if wanting is None else wanting
        for _ in range(round(seconds / step)):
            for name, attempts in self.at_work.items():
                self.had[name] += step * len(attempts)
                self.at_work[name] = {one: left - step for one, left in attempts.items() if left > step}
                now = dict.fromkeys(self.at_work[name], True)
                self.shares.of(name).pass_on(now, step)
            self.shares.want(wanting)
            while sum(map(len, self.at_work.values())) < self.slots:
                name = self.shares.next(wanting)
                self.number += 1
                self.starts[name] += 1
                self.at_work[name][str(self.number)] = self.chance.uniform(0.5, 1.5) * self.mean[name]
                self.shares.of(name).start(str(self.number))

    def shares_of_time(self) -> dict[str, float]:
        return {name: seconds / sum(self.had.values()) for name, seconds in self.had.items()}


@given(weights, st.integers(4, 40), st.integers(0, 99))
def test_shares_of_a_day_follow_the_weights_within_a_tenth(weights: list[float], slots: int, seed: int) -> None:
    chance = random.Random(seed)
    networks = {str(n): (weight, chance.uniform(300, 3600)) for n, weight in enumerate(weights)}
    cluster = Cluster(networks, slots, seed)
    cluster.go_on(DAY)
    total = sum(weights)
    one_attempt = 2 * 5400 / (slots * DAY)  # more than that nobody can do with attempts that are not interrupted
    for name, share in cluster.shares_of_time().items():
        fair = networks[name][0] / total
        assert abs(share - fair) <= 0.1 * fair + one_attempt


def test_long_tasks_get_no_more_than_short_ones() -> None:
    cluster = Cluster({"short": (0.5, 60.0), "long": (0.5, 4 * 3600.0)}, 8, 1)
    cluster.go_on(DAY)
    assert abs(cluster.shares_of_time()["long"] - 0.5) < 0.05
    assert cluster.starts["short"] > 50 * cluster.starts["long"]


def test_who_wanted_nothing_has_saved_up_nothing() -> None:
    cluster = Cluster({"late": (0.5, 600.0), "early": (0.5, 600.0)}, 8, 1)
    cluster.go_on(DAY / 2, wanting=["early"])
    cluster.had.clear()
    cluster.go_on(DAY / 2)
    assert abs(cluster.shares_of_time()["late"] - 0.5) < 0.05


def test_what_was_had_is_remembered_by_the_next_driver() -> None:
    cluster = Cluster({"heavy": (1.0, 3600.0), "light": (0.1, 3600.0)}, 1, 1)
    for _ in range(22):  # a driver for each task, as with cron
        cluster.go_on(3600.0, step=600.0)
        times = cluster.shares.times()
        cluster.shares = Shares(times)
        for name, weight in (("heavy", 1.0), ("light", 0.1)):
            cluster.shares.of(name).set_weight(weight)
    assert cluster.starts["light"] in (2, 3)


def test_a_change_of_weight_is_for_what_comes() -> None:
    share = Share(weight=0.5)
    share.start("a")
    share.pass_on({"a": True}, 50.0)
    assert share.time == 100.0
    share.set_weight(1.0)
    share.pass_on({"a": True}, 50.0)
    assert (share.time, share.expected) == (150.0, None)
    share.pass_on({}, 50.0)
    assert (share.time, share.expected) == (200.0, 150.0)
    share.set_weight(0.0)
    assert share.weight == 1.0
    share.pass_on({"b": False}, 1000.0)  # it waits in a queue
    assert (share.time, share.ahead(10.0)) == (200.0, 220.0)
    share.pass_on({}, 1000.0)
    assert share.time == 200.0


def test_the_heaviest_is_first_among_equals() -> None:
    shares = Shares()
    shares.of("b").set_weight(1.0)
    shares.of("a").set_weight(0.5)
    assert shares.next(["a", "b"]) == "b"
    assert shares.times() == {"a": 0.0, "b": 0.0}
