"""Tasks through the client: created, actioned, cancelled, ordered and set aside; nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from scoped import SCOPE, ScopedWorkspace

from xpm_alchem.alchemiscale import AlchemiscaleClientError, Scope, ScopedKey, TaskStatusEnum
from xpm_alchem.client import Campaign

OTHER = Scope("my_org", "my_campaign", "other_project")
NO_TASK = ScopedKey.from_str(f"Task-{'0' * 32}-{SCOPE}")
NO_NETWORK = ScopedKey.from_str(f"AlchemicalNetwork-0123-{SCOPE}")
NO_TRANSFORMATION = ScopedKey.from_str(f"Transformation-0123-{SCOPE}")


@pytest.fixture
def here(tmp_path: Path) -> ScopedWorkspace:
    return ScopedWorkspace(tmp_path)


class TestOfOneNetwork:
    @pytest.fixture(autouse=True)
    def network(self, here: ScopedWorkspace) -> ScopedKey:
        self.asc = here.asc
        self.an = here.create([(0, 1), (1, 2)])
        self.one, self.two = self.asc.get_network_transformations(self.an)
        return self.an

    def test_created_tasks_wait_and_are_not_actioned(self) -> None:
        tasks = self.asc.create_tasks(self.one, count=3)
        assert len({*tasks}) == 3
        assert {(task.scope, task.qualname) for task in tasks} == {(SCOPE, "Task")}
        assert [ScopedKey.from_str(str(task)) for task in tasks] == tasks
        assert self.asc.get_tasks_status(tasks) == ["waiting"] * 3
        assert self.asc.get_tasks_priority(tasks) == [10] * 3
        assert self.asc.get_network_actioned_tasks(self.an) == []
        assert self.asc.get_transformation_tasks(self.one) == self.asc.get_network_tasks(self.an) == tasks
        assert self.asc.get_transformation_tasks(self.two) == []
        assert [self.asc.get_task_transformation(task) for task in tasks] == [self.one] * 3
        assert all(self.asc.check_exists(task) for task in tasks) and not self.asc.check_exists(NO_TASK)
        assert self.asc.get_task_networks(tasks[0]) == [self.an]
        assert self.asc.create_tasks(self.one, count=0) == []
        more = self.asc.create_tasks(self.one)
        assert len(more) == 1 and more[0] not in tasks

    def test_tasks_of_several_transformations_come_in_their_order(self) -> None:
        wanted = [self.two, self.one, self.two]
        tasks = self.asc.create_transformations_tasks(wanted)
        assert [self.asc.get_task_transformation(task) for task in tasks] == wanted
        assert len({*tasks}) == 3
        more = self.asc.create_transformations_tasks([self.one, self.two], [None, tasks[0]])
        assert self.asc.get_transformation_tasks(self.two, extends=tasks[0]) == [more[1]]
        with pytest.raises(AlchemiscaleClientError, match="2 and 1 entries"):
            self.asc.create_transformations_tasks([self.one, self.two], [None])

    def test_more_tasks_than_one_request_takes(self) -> None:
        tasks = self.asc.create_tasks(self.one, count=1200)
        assert len({*tasks}) == len(self.asc.get_transformation_tasks(self.one)) == 1200

    def test_what_cannot_be_created_is_refused_and_nothing_is(self) -> None:
        task = self.asc.create_tasks(self.one)[0]
        for wrong in (
            lambda: self.asc.create_tasks(NO_TRANSFORMATION),
            lambda: self.asc.create_tasks(self.one, extends=NO_TASK),
            lambda: self.asc.create_tasks(self.two, extends=task),
            lambda: self.asc.create_tasks(self.one, count=-1),
            lambda: self.asc.create_tasks(self.one, count=1.5),  # type: ignore[arg-type]
            lambda: self.asc.create_transformations_tasks([self.one, NO_TRANSFORMATION]),
        ):
            with pytest.raises(AlchemiscaleClientError):
                wrong()
        assert self.asc.get_network_tasks(self.an) == [task]
        self.asc.set_tasks_status([task], "invalid")
        with pytest.raises(AlchemiscaleClientError, match="invalid"):
            self.asc.create_tasks(self.one, extends=task)

    def test_what_extends_what(self) -> None:
        root = self.asc.create_tasks(self.one)[0]
        children = self.asc.create_tasks(self.one, extends=root, count=2)
        (grandchild,) = self.asc.create_tasks(self.one, extends=children[1])
        other = self.asc.create_tasks(self.one)[0]
        find = self.asc.get_transformation_tasks
        assert {*find(self.one)} == {root, *children, grandchild, other}
        assert {*find(self.one, extends=root)} == {*children, grandchild}
        assert find(self.one, extends=children[1]) == [grandchild]
        assert find(self.one, extends=grandchild) == find(self.one, extends=NO_TASK) == []
        graph = find(self.one, return_as="graph")
        assert isinstance(graph, nx.DiGraph)
        assert {*graph.nodes} == {root, *children, grandchild, other}
        assert {*graph.edges} == {(children[0], root), (children[1], root), (grandchild, children[1])}
        with pytest.raises(AlchemiscaleClientError, match="'list' or 'graph'"):
            find(self.one, return_as="tree")
        # what is set aside takes along all that extend it
        assert self.asc.set_tasks_status([children[1]], TaskStatusEnum.deleted) == [children[1]]
        found = self.asc.get_tasks_status([root, *children, grandchild, other])
        assert found == ["waiting", "waiting", "deleted", "deleted", "waiting"]
        assert find(self.one, status="deleted") == [children[1], grandchild]

    def test_actioning_and_cancelling(self) -> None:
        tasks = self.asc.create_tasks(self.one, count=4)
        assert self.asc.action_tasks(tasks[:3], self.an) == tasks[:3]
        assert self.asc.get_network_actioned_tasks(self.an) == tasks[:3]
        assert self.asc.get_networks_actioned_tasks([NO_NETWORK, self.an]) == [[], tasks[:3]]
        assert self.asc.get_task_actioned_networks(tasks[0]) == [self.an]
        assert self.asc.get_task_actioned_networks(tasks[3]) == []
        assert self.asc.cancel_tasks([tasks[3], tasks[1], NO_TASK], self.an) == [None, tasks[1], None]
        assert self.asc.get_network_actioned_tasks(self.an) == [tasks[0], tasks[2]]
        assert self.asc.get_tasks_status(tasks) == ["waiting"] * 4
        assert self.asc.action_tasks([tasks[1], NO_TASK, tasks[1]], self.an) == [tasks[1], None, tasks[1]]
        assert self.asc.get_network_actioned_tasks(self.an) == tasks[:3]
        self.asc.set_tasks_status([tasks[2]], "invalid")
        assert self.asc.get_network_actioned_tasks(self.an) == tasks[:2]  # it is cancelled with it
        assert self.asc.action_tasks(tasks, self.an) == [*tasks[:2], None, tasks[3]]
        for verb in (self.asc.action_tasks, self.asc.cancel_tasks):
            with pytest.raises(AlchemiscaleClientError, match="no AlchemicalNetwork"):
                verb(tasks, NO_NETWORK)
        assert self.asc.action_tasks([], self.an) == self.asc.cancel_tasks([], self.an) == []
        done = self.asc.action_tasks(tasks, self.an)  # what one method gives the next one takes
        assert self.asc.cancel_tasks(done, self.an) == done == [*tasks[:2], None, tasks[3]]
        assert self.asc.get_tasks_status(done)[2] is None

    def test_weights_of_actioned_tasks(self) -> None:
        tasks = self.asc.create_tasks(self.one, count=3)
        self.asc.action_tasks(tasks[:2], self.an, weight=0.7)
        self.asc.action_tasks(tasks, self.an)  # those that are actioned keep theirs
        weights = self.asc.get_network_actioned_tasks(self.an, task_weights=True)
        assert weights == dict(zip(tasks, [0.7, 0.7, 0.5], strict=True))
        assert self.asc.get_networks_actioned_tasks([self.an, NO_NETWORK], task_weights=True) == [weights, {}]
        self.asc.action_tasks(tasks, self.an, weight=[0.1, 0.2, 1])
        assert self.asc.get_network_actioned_tasks(self.an, task_weights=True) == dict(
            zip(tasks, [0.1, 0.2, 1.0], strict=True)
        )
        assert self.asc.get_task_actioned_networks(tasks[1], task_weights=True) == {self.an: 0.2}
        self.asc.cancel_tasks(tasks[:1], self.an)
        self.asc.action_tasks(tasks[:1], self.an)
        assert self.asc.get_task_actioned_networks(tasks[0], task_weights=True) == {self.an: 0.5}
        for wrong, said in ((1.5, "0 .* to 1"), ([0.5], "3 and 1 entries"), ([0.1, 0.2, -1], "0 .* to 1")):
            with pytest.raises(AlchemiscaleClientError, match=said):
                self.asc.action_tasks(tasks, self.an, weight=wrong)

    def test_priorities(self) -> None:
        tasks = self.asc.create_tasks(self.one, count=3)
        assert self.asc.set_tasks_priority([tasks[0], NO_TASK, tasks[2]], 1) == [tasks[0], None, tasks[2]]
        assert self.asc.get_tasks_priority([*tasks, NO_TASK]) == [1, 10, 1, None]
        assert self.asc.set_tasks_priority(tasks, [2, 3, 2**63 - 1], batch_size=1) == tasks  # type: ignore[arg-type]
        assert self.asc.get_tasks_priority(tasks, batch_size=2) == [2, 3, 2**63 - 1]
        for wrong in (0, -1, 2**63, 1.5):
            with pytest.raises(AlchemiscaleClientError, match="priority"):
                self.asc.set_tasks_priority(tasks, wrong)  # type: ignore[arg-type]
        assert self.asc.get_tasks_priority(tasks) == [2, 3, 2**63 - 1]

    def test_statuses(self) -> None:
        tasks = self.asc.create_tasks(self.one, count=3)
        assert self.asc.set_tasks_status([tasks[0], NO_TASK], "invalid") == [tasks[0], None]
        assert self.asc.set_tasks_status(tasks[1:2], TaskStatusEnum.deleted, batch_size=1) == tasks[1:2]
        assert self.asc.get_tasks_status([*tasks, NO_TASK]) == ["invalid", "deleted", "waiting", None]
        assert self.asc.set_tasks_status(tasks, "waiting") == [None, None, tasks[2]]  # those are final
        assert self.asc.get_tasks_status(tasks, batch_size=1) == ["invalid", "deleted", "waiting"]
        for wrong in ("running", "complete", "error", "sleepy"):
            with pytest.raises(AlchemiscaleClientError, match=r"waiting.*invalid.*deleted"):
                self.asc.set_tasks_status(tasks, wrong)
        assert self.asc.get_network_tasks(self.an, status="waiting") == tasks[2:]
        assert self.asc.get_network_tasks(self.an, status=TaskStatusEnum.invalid) == tasks[:1]  # type: ignore[arg-type]
        with pytest.raises(AlchemiscaleClientError, match="status 'sleepy'"):
            self.asc.get_network_tasks(self.an, status="sleepy")

    def test_counts(self, here: ScopedWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
        tasks = self.asc.create_transformations_tasks([self.one, self.one, self.two])
        self.asc.set_tasks_status(tasks[:1], "invalid")
        other = here.create([(0, 1)], OTHER)
        self.asc.create_tasks(self.asc.get_network_transformations(other)[0])
        counted = {"waiting": 2, "invalid": 1}
        capsys.readouterr()
        assert self.asc.get_network_status(self.an) == counted
        shown = capsys.readouterr().out
        assert str(self.an) in shown and "waiting" in shown and "2" in shown
        assert self.asc.get_network_status(self.an, visualize=False) == counted
        assert self.asc.get_transformation_status(self.one, visualize=False) == {"waiting": 1, "invalid": 1}
        assert self.asc.get_networks_status([other, NO_NETWORK, self.an]) == [{"waiting": 1}, {}, counted]
        assert self.asc.get_network_status(NO_NETWORK, visualize=False) == {}
        assert self.asc.get_transformation_status(NO_TRANSFORMATION, visualize=False) == {}
        count = self.asc.get_scope_status
        assert count(SCOPE, visualize=False) == counted
        everything = {"waiting": 3, "invalid": 1}
        assert count(visualize=False) == count(Scope("my_org", "my_campaign"), visualize=False) == everything
        assert count(Scope("another"), visualize=False) == {}
        self.asc.set_network_state(self.an, "inactive")
        assert count(visualize=False) == {"waiting": 1}
        assert count(visualize=False, network_state="inactive") == counted
        assert count(visualize=False, network_state=None) == count(visualize=False, network_state=".*ive") == everything
        assert "*-*-*" not in capsys.readouterr().out

    def test_queries(self, here: ScopedWorkspace) -> None:
        tasks = self.asc.create_tasks(self.one, count=2)
        other = here.create([(0, 1)], OTHER)
        (far,) = self.asc.create_tasks(self.asc.get_network_transformations(other)[0])
        self.asc.set_tasks_status(tasks[:1], "deleted")
        assert {*self.asc.query_tasks()} == {*tasks, far}
        assert self.asc.query_tasks(scope=SCOPE) == tasks
        assert self.asc.query_tasks(scope=OTHER) == [far]
        assert {*self.asc.query_tasks(Scope("my_org"), status="waiting")} == {tasks[1], far}
        assert self.asc.query_tasks(scope=Scope("another")) == self.asc.query_tasks(status="complete") == []
        with pytest.raises(AlchemiscaleClientError):
            self.asc.query_tasks(status="sleepy")

    def test_what_is_not_there(self) -> None:
        assert self.asc.get_network_tasks(NO_NETWORK) == self.asc.get_transformation_tasks(NO_TRANSFORMATION) == []
        assert self.asc.get_task_networks(NO_TASK) == self.asc.get_task_actioned_networks(NO_TASK) == []
        assert self.asc.get_network_actioned_tasks(NO_NETWORK) == []
        for wrong in (self.asc.get_task_transformation, self.asc.get_task_results, self.asc.get_task_failures):
            with pytest.raises(AlchemiscaleClientError, match="there is no Task"):
                wrong(NO_TASK)
        with pytest.raises(AlchemiscaleClientError, match="there is no Task"):
            self.asc.get_task_transformation(f"Task-nonsense-{SCOPE}")  # type: ignore[arg-type]

    def test_a_created_task_is_shown_as_one_that_is_not_run(self, here: ScopedWorkspace) -> None:
        self.asc.create_tasks(self.one)
        campaign = Campaign(here.campaigns[0])
        (row,) = campaign.get_tasks()["rows"]
        assert (row["status"], row["actioned"]) == ("waiting", False)
        assert "not to be run yet" in str(campaign.why(row["task"]))


class TestOfTwoNetworksInOneScope:
    """(1, 2) is in both, and so are its tasks."""

    @pytest.fixture(autouse=True)
    def networks(self, here: ScopedWorkspace) -> None:
        self.asc = here.asc
        self.first, self.second = here.create([(0, 1), (1, 2)]), here.create([(1, 2), (2, 3)])
        (self.shared,) = {*self.edges(self.first)} & {*self.edges(self.second)}

    def edges(self, network: ScopedKey) -> list[ScopedKey]:
        return self.asc.get_network_transformations(network)

    def test_a_task_belongs_to_both(self) -> None:
        tasks = self.asc.create_tasks(self.shared, count=2)
        assert self.asc.get_network_tasks(self.first) == self.asc.get_network_tasks(self.second) == tasks
        assert self.asc.get_transformation_tasks(self.shared) == self.asc.query_tasks(SCOPE) == tasks
        assert {*self.asc.get_task_networks(tasks[0])} == {self.first, self.second}
        assert self.asc.get_networks_status([self.first, self.second]) == [{"waiting": 2}] * 2
        assert self.asc.get_scope_status(visualize=False) == {"waiting": 2}  # each once

    def test_it_is_actioned_on_each_by_itself(self) -> None:
        tasks = self.asc.create_tasks(self.shared, count=2)
        assert self.asc.action_tasks(tasks, self.first) == self.asc.action_tasks(tasks, self.second, 0.7) == tasks
        for task in tasks:
            found = self.asc.get_task_actioned_networks(task, task_weights=True)
            assert found == {self.first: 0.5, self.second: 0.7}
        assert self.asc.cancel_tasks(tasks[:1], self.first) == tasks[:1]
        assert self.asc.get_network_actioned_tasks(self.first) == tasks[1:]
        assert self.asc.get_network_actioned_tasks(self.second) == tasks
        assert len(self.asc.get_transformation_tasks(self.shared)) == 2
        new = self.asc.create_tasks(self.shared)
        assert not {*new} & {*tasks}

    def test_status_and_priority_are_the_tasks_own(self, here: ScopedWorkspace) -> None:
        tasks = self.asc.create_tasks(self.shared, count=2)
        self.asc.set_tasks_priority(tasks[:1], 3)
        self.asc.action_tasks(tasks, self.first)
        self.asc.action_tasks(tasks, self.second)
        for campaign in map(Campaign, here.campaigns):
            assert [row["priority"] for row in campaign.get_tasks()["rows"]] == [3, 10]
        self.asc.set_tasks_priority(tasks[1:], 1)
        assert self.asc.get_tasks_priority(tasks) == [3, 1]
        self.asc.set_tasks_status(tasks[:1], "deleted")
        assert self.asc.get_tasks_status(tasks) == ["deleted", "waiting"]
        for network in (self.first, self.second):
            assert self.asc.get_network_actioned_tasks(network) == tasks[1:]
        assert self.asc.action_tasks(tasks, self.second) == [None, tasks[1]]

    def test_what_another_network_does_not_have_is_not_actioned_on_it(self) -> None:
        (mine,) = {*self.edges(self.first)} - {self.shared}
        (task,) = self.asc.create_tasks(mine)
        assert self.asc.action_tasks([task], self.second) == [None]
        assert self.asc.action_tasks([task], self.first) == [task]

    def test_a_task_that_extends_another_brings_it_along(self) -> None:
        (root,) = self.asc.create_tasks(self.shared)
        (child,) = self.asc.create_tasks(self.shared, extends=root)
        assert self.asc.action_tasks([child], self.second) == [child]
        assert self.asc.get_network_actioned_tasks(self.second) == [child]
        assert self.asc.get_transformation_tasks(self.shared, extends=root) == [child]
        self.asc.set_tasks_status([root], "invalid")
        assert self.asc.get_tasks_status([root, child]) == ["invalid", "invalid"]


def test_the_same_transformation_in_another_scope_has_tasks_of_its_own(here: ScopedWorkspace) -> None:
    networks = [here.create([(0, 1)]), here.create([(0, 1)], OTHER)]
    edges = [here.asc.get_network_transformations(one)[0] for one in networks]
    first, second = (here.asc.create_tasks(edge) for edge in edges)
    assert {*first}.isdisjoint(second)
    here.asc.set_tasks_status(first, "deleted")
    assert here.asc.get_tasks_status([*first, *second]) == ["deleted", "waiting"]
    assert here.asc.action_tasks([*first, *second], networks[0]) == [None, None]


def test_what_the_command_does_and_what_the_client_does_is_seen_by_the_other(here: ScopedWorkspace) -> None:
    network = here.create([(0, 1)])
    (edge,) = here.asc.get_network_transformations(network)
    campaign: Any = Campaign(here.campaigns[0])
    name = here.asc.get_transformation(edge).name
    campaign.create_tasks(name)
    (task,) = here.asc.get_network_tasks(network)
    assert here.asc.get_network_actioned_tasks(network) == [task]  # a campaign's own are at once
    here.asc.cancel_tasks([task], network)
    assert [row["actioned"] for row in campaign.get_tasks()["rows"]] == [False]
