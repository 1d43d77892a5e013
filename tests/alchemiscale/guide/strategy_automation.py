"""The steps of alchemiscale's user guide, "Automating Execution with a Strategy", as a script of its users."""

from alchemiscale import AlchemiscaleClient, Scope, ScopedKey
from dummy_protocol import dummy_network
from patience import wait_for
from stratocaster.strategies import ConnectivityStrategy

asc = AlchemiscaleClient()
scope = Scope("my_org", "my_campaign", "my_project")
network_sk = asc.create_network(dummy_network([(0, 1), (1, 2)]), scope)

# basic usage
strategy = ConnectivityStrategy(ConnectivityStrategy.default_settings())
asc.set_network_strategy(network=network_sk, strategy=strategy, max_tasks_per_transformation=5)
state = asc.get_network_strategy_state(network_sk)
print(f"Status: {state.status}", f"Iterations: {state.iterations}", f"Last run: {state.last_iteration}")
assert state.max_tasks_per_transformation == 5
assert (state.mode, state.task_scaling, state.sleep_interval) == ("partial", "exponential", 3600)

# modes
for mode in ("partial", "full"):
    asc.set_network_strategy(network=network_sk, strategy=strategy, mode=mode)
    assert asc.get_network_strategy_state(network_sk).mode == mode

# scaling
for scaling in ("linear", "exponential"):
    asc.set_network_strategy(
        network=network_sk, strategy=strategy, task_scaling=scaling, max_tasks_per_transformation=6
    )
    state = asc.get_network_strategy_state(network_sk)
    assert (state.task_scaling, state.max_tasks_per_transformation) == (scaling, 6)

# how often
asc.set_network_strategy(network=network_sk, strategy=strategy, sleep_interval=0)
assert asc.get_network_strategy_state(network_sk).sleep_interval == 0

# a driver performs it until it wants nothing more
wait_for(lambda: asc.get_networks_status([network_sk]) == [{"complete": 6}], what="3 results of each: max_runs")
wait_for(lambda: asc.get_network_strategy_status(network_sk) == "dormant", what="the strategy's end")
state = asc.get_network_strategy_state(network_sk)
assert state.iterations > 0
assert state.exception is None and state.traceback is None
assert asc.get_network_status(network_sk) == {"complete": 6}
assert all(result is not None for result in asc.get_network_results(network_sk).values())

# dormant, awake again
assert asc.set_network_strategy_awake(network_sk) == network_sk

# disabled
asc.set_network_strategy(network=network_sk, strategy=strategy, mode="disabled")
assert asc.get_network_strategy_state(network_sk).mode == "disabled"

# the example workflow, in another session
asc = AlchemiscaleClient()
network_sk = ScopedKey.from_str(str(network_sk))
strategy_sk = asc.set_network_strategy(
    network=network_sk,
    strategy=strategy,
    mode="partial",
    task_scaling="linear",
    max_tasks_per_transformation=3,
    sleep_interval=1800,
)
assert strategy_sk.scope == scope
print(f"Strategy status: {asc.get_network_strategy_state(network_sk).status}")
asc.set_network_strategy(
    network=network_sk,
    strategy=strategy,
    mode="full",
    task_scaling="exponential",
    max_tasks_per_transformation=10,
)
assert type(asc.get_network_strategy(network_sk)) is ConnectivityStrategy
assert asc.set_network_strategy(network_sk, None) is None
