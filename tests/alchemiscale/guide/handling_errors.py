"""The steps of alchemiscale's user guide, "Handling Errors", as a script of its users; a driver computes meanwhile."""

import json
from pathlib import Path

from alchemiscale import AlchemiscaleClient, Scope
from dummy_protocol import dummy_network
from patience import wait_for

orders = Path("orders.json").resolve()
orders.write_text(json.dumps({"simulate 0": {"do": "raise", "message": "Unable to allocate 12 GiB", "times": 7}}))

asc = AlchemiscaleClient()
an_sk = asc.create_network(dummy_network([(0, 1)], script=str(orders)), Scope("my_org", "my_campaign", "my_project"))
(tf_sk,) = asc.get_network_transformations(an_sk)
tasks = asc.create_tasks(tf_sk, count=2)
asc.action_tasks(tasks, an_sk)
wait_for(lambda: asc.get_tasks_status(tasks) == ["error", "error"], what="errors")

# introspecting what was raised
failed_protocol_dag_results = asc.get_transformation_failures(tf_sk)
assert len(failed_protocol_dag_results) == 2
for failure in failed_protocol_dag_results:
    for failed_unit in failure.protocol_unit_failures:
        assert "Unable to allocate" in str(failed_unit.exception)
        assert "RuntimeError" in failed_unit.traceback

# re-running errored Tasks: two failures more
assert {*asc.get_network_tasks(an_sk, status="error")} == {*tasks}
assert asc.set_tasks_status(tasks, "waiting") == tasks
wait_for(lambda: len(asc.get_transformation_failures(tf_sk)) == 4, what="failures")
wait_for(lambda: asc.get_tasks_status(tasks) == ["error", "error"], what="errors")

# restart patterns: the last three failures are restarted by them
patterns = [r"RuntimeError: .+", r"MemoryError: Unable to allocate \d+ GiB"]
asc.add_task_restart_patterns(an_sk, patterns, 5)
assert asc.get_task_restart_patterns(an_sk) == {patterns[0]: 5, patterns[1]: 5}
asc.set_task_restart_patterns_allowed_restarts(an_sk, patterns[:1], 4)
asc.set_task_restart_patterns_allowed_restarts(an_sk, patterns[1:], 2)
assert asc.get_task_restart_patterns(an_sk) == {patterns[0]: 4, patterns[1]: 2}
wait_for(lambda: asc.get_tasks_status(tasks) == ["complete", "complete"], what="results")
assert len(asc.get_transformation_failures(tf_sk)) == 7
asc.remove_task_restart_patterns(an_sk, patterns[1:])
assert asc.get_task_restart_patterns(an_sk) == {patterns[0]: 4}
asc.clear_task_restart_patterns(an_sk)
assert asc.get_task_restart_patterns(an_sk) == {}

# marking Tasks as deleted or invalid
spare = asc.create_tasks(tf_sk, count=2)
assert asc.set_tasks_status(spare[:1], "invalid") == spare[:1]
assert asc.set_tasks_status(spare[1:], "deleted") == spare[1:]
assert asc.set_tasks_status(spare, "waiting") == [None, None]
assert asc.get_tasks_status(spare) == ["invalid", "deleted"]

# marking networks
assert asc.get_network_state(an_sk) == "active"
assert asc.set_network_state(an_sk, "inactive") == an_sk
assert asc.query_networks() == []
assert asc.query_networks(state=None) == asc.query_networks(state="inactive|active") == [an_sk]
assert asc.get_scope_status(Scope("my_org", "my_campaign")) == {}
counts = asc.get_scope_status(Scope("my_org", "my_campaign"), network_state=None)
assert counts == {"complete": 2, "invalid": 1, "deleted": 1}
asc.set_network_state(an_sk, "active")
assert asc.query_networks() == [an_sk]
