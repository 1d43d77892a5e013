"""The steps of alchemiscale's user guide, "Getting Started", as a script of its users; a driver computes meanwhile."""

from alchemiscale import AlchemiscaleClient, ResultFormat, Scope, ScopedKey
from dummy_protocol import dummy_network
from patience import wait_for

network = dummy_network([(0, 1), (1, 2)])
other_network = dummy_network([(1, 2), (2, 3)])

# instantiating a client, choosing a Scope
asc = AlchemiscaleClient("https://api.alchemiscale.example", "a user", "a key")
assert repr(asc.list_scopes()) == "[<Scope('*-*-*')>]"
scope = Scope("my_org", "my_campaign", "my_project")

# submitting and retrieving a network
an_sk = asc.create_network(network, scope)
assert repr(an_sk) == f"<ScopedKey('{network.key}-my_org-my_campaign-my_project')>"
network_again = asc.get_network(an_sk)
assert network_again == network
assert asc.query_networks() == [an_sk]
assert asc.get_network(ScopedKey.from_str(str(an_sk))) == network

# creating and actioning Tasks
tasks = []
for tf_sk in asc.get_network_transformations(an_sk):
    tasks.extend(asc.create_tasks(tf_sk, count=3))
assert asc.action_tasks(tasks, an_sk) == tasks

# another network of the same Scope takes what is there, and makes the rest
other_an_sk = asc.create_network(other_network, scope)
other_tasks = []
for tf_sk in asc.get_network_transformations(other_an_sk):
    existing_tasks = asc.get_transformation_tasks(tf_sk)
    other_tasks.extend(asc.create_tasks(tf_sk, count=max(3 - len(existing_tasks), 0)) + existing_tasks)
assert len(other_tasks) == 6
actioned = asc.action_tasks(other_tasks, other_an_sk)
assert all(done in (task, None) for task, done in zip(other_tasks, actioned, strict=True))
(shared,) = {*asc.get_network_transformations(an_sk)} & {*asc.get_network_transformations(other_an_sk)}
assert {*asc.get_transformation_tasks(shared)} == {*tasks} & {*other_tasks}

# which Tasks a network has, which networks a Task
assert {*asc.get_network_actioned_tasks(an_sk)} <= {*tasks}
task = asc.create_tasks(shared)[0]
asc.action_tasks([task], an_sk)
assert {*asc.get_task_actioned_networks(task)} <= {an_sk}

# weights and priorities
assert asc.get_network_weight(an_sk) == 0.5
asc.set_network_weight(an_sk, 0.9)
assert asc.get_network_weight(an_sk) == 0.9
asc.action_tasks([task], an_sk, weight=0.7)
weights = asc.get_task_actioned_networks(task, task_weights=True)
assert weights in ({an_sk: 0.7}, {})  # it may be complete by now
assert asc.get_tasks_priority(tasks) == [10] * 6
assert asc.set_tasks_priority(tasks, [2, 3, 599, 1, 5, 3]) == tasks
assert asc.get_tasks_priority(tasks) == [2, 3, 599, 1, 5, 3]

# cancelling
later = asc.create_tasks(shared, count=2)
asc.set_network_weight(an_sk, 0)  # nothing begins meanwhile
asc.action_tasks(later, an_sk)
assert asc.cancel_tasks(later, an_sk) == later
asc.set_network_weight(an_sk, 0.5)

# the status of Tasks
wait_for(lambda: {*asc.get_tasks_status([*tasks, *other_tasks, task])} == {"complete"}, what="the results")
assert asc.get_scope_status(Scope("my_org", "my_campaign")) == {"complete": 10, "waiting": 2}
found = asc.query_tasks(scope=Scope("my_org", "my_campaign"))
assert sorted(asc.get_tasks_status(found)) == ["complete"] * 10 + ["waiting"] * 2
assert asc.get_network_status(an_sk) == {"complete": 7, "waiting": 2}
assert asc.get_tasks_status(asc.get_network_tasks(an_sk)).count("complete") == 7
assert asc.get_transformation_status(shared) == {"complete": 4, "waiting": 2}
assert asc.get_tasks_status(asc.get_transformation_tasks(shared)).count("complete") == 4

# pulling and assembling results
transformation = asc.get_transformation(shared)
protocol_result = asc.get_transformation_results(shared)
protocol_results = asc.get_transformation_results(shared, return_as=ResultFormat.PROTOCOL_RESULTS)
assert len(protocol_results) == 4
protocol_dag_results = asc.get_transformation_results(shared, return_as=ResultFormat.PROTOCOL_DAG_RESULTS)
gathered = transformation.gather(protocol_dag_results)
assert abs(gathered.get_estimate() - protocol_result.get_estimate()) < 1e-9
assert abs(gathered.get_uncertainty() - protocol_result.get_uncertainty()) < 1e-9
half = transformation.gather(protocol_dag_results[:2])
assert half.get_estimate() != gathered.get_estimate()
results = {str(tf_sk): asc.get_transformation_results(tf_sk) for tf_sk in asc.get_network_transformations(an_sk)}
assert all(result is not None for result in results.values())
