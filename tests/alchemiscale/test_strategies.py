"""Strategies through the client: as objects in and out, performed by a driver, in error and set awake."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import patience
import pytest
from scoped import SCOPE, ScopedWorkspace

from xpm_alchem import gufe_seam
from xpm_alchem.alchemiscale import (
    AlchemiscaleClientError,
    ScopedKey,
    StrategyModeEnum,
    StrategyState,
    StrategyStatusEnum,
    StrategyTaskScalingEnum,
)
from xpm_alchem.strategies.connectivity import ConnectivityStrategy, ConnectivityStrategySettings
from xpm_alchem.strategies.uniform import UniformStrategy, UniformStrategySettings

NO_NETWORK = ScopedKey.from_str(f"AlchemicalNetwork-0123-{SCOPE}")
TWO = UniformStrategy(UniformStrategySettings(repeats=2))
NOW: dict[str, Any] = {"sleep_interval": 0}
FRAGILE = """
from pathlib import Path
from xpm_alchem.strategies.uniform import UniformStrategy

class Fragile(UniformStrategy):
    def propose(self, network, results):
        if Path(__file__).with_name("broken").exists():
            raise ZeroDivisionError("nothing to divide")
        return super().propose(network, results)
"""


@pytest.fixture
def here(tmp_path: Path) -> ScopedWorkspace:
    return ScopedWorkspace(tmp_path)


def test_a_network_has_no_strategy_until_it_is_given_one(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1)])
    for get in (asc.get_network_strategy, asc.get_network_strategy_state, asc.get_network_strategy_status):
        assert get(network) is None
        with pytest.raises(AlchemiscaleClientError, match="no AlchemicalNetwork"):
            get(NO_NETWORK)
    assert asc.set_network_strategy_awake(network) is None
    for wrong in (
        lambda: asc.set_network_strategy(NO_NETWORK, TWO),
        lambda: asc.set_network_strategy_awake(NO_NETWORK),
    ):
        with pytest.raises(AlchemiscaleClientError, match="no AlchemicalNetwork"):
            wrong()


def test_a_strategy_goes_in_comes_out_and_goes(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1)])
    key = asc.set_network_strategy(network, TWO)
    assert key is not None and (key.scope, key.qualname) == (SCOPE, "UniformStrategy")
    made = asc.get_network_strategy(network)
    assert (type(made), made.settings) == (UniformStrategy, TWO.settings)
    state = asc.get_network_strategy_state(network)
    assert state == StrategyState(
        mode=StrategyModeEnum.partial,
        status=StrategyStatusEnum.awake,
        iterations=0,
        sleep_interval=3600,
        last_iteration=None,
        last_iteration_result_count=None,
        max_tasks_per_transformation=3,
        max_tasks_per_network=None,
        task_scaling=StrategyTaskScalingEnum.exponential,
    )
    assert StrategyState.from_dict(state.to_dict()) == state
    assert asc.get_network_strategy_status(network) == "awake"
    assert asc.set_network_strategy(network, TWO) == key  # told apart by its settings
    other = UniformStrategy(UniformStrategySettings(repeats=5))
    assert asc.set_network_strategy(network, other, 6, "linear", "full", 600) not in (None, key)
    state = asc.get_network_strategy_state(network)
    assert state is not None
    assert (state.mode, state.task_scaling, state.max_tasks_per_transformation) == ("full", "linear", 6)
    assert state.sleep_interval == 600
    assert asc.get_network_strategy(network).settings == other.settings
    asc.set_network_strategy(network, ConnectivityStrategy(ConnectivityStrategySettings(max_runs=4)), mode="disabled")
    assert asc.get_network_strategy(network).settings.max_runs == 4
    assert asc.get_network_strategy_state(network).mode == "disabled"  # type: ignore[union-attr]
    assert asc.set_network_strategy_awake(network) is None
    assert asc.set_network_strategy(network, None) is None
    assert asc.get_network_strategy(network) is None


def test_what_makes_no_sense_is_refused_and_changes_nothing(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1)])
    asc.set_network_strategy(network, TWO, mode="full")
    before = asc.get_network_strategy_state(network)
    for strategy, options in (
        (object(), {}),
        (UniformStrategy, {}),
        (TWO, {"mode": "eager"}),
        (TWO, {"task_scaling": "cubic"}),
        (TWO, {"max_tasks_per_transformation": 0}),
        (TWO, {"sleep_interval": -1}),
    ):
        with pytest.raises(AlchemiscaleClientError):
            asc.set_network_strategy(network, strategy, **options)
    assert asc.get_network_strategy_state(network) == before


@pytest.mark.slow
def test_a_driver_does_what_the_strategy_says(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1), (1, 2)])
    one, two = asc.get_network_transformations(network)
    mine = asc.create_tasks(one)  # not actioned: taken up before others are made
    asc.set_network_strategy(network, TWO, **NOW)
    here.run()
    assert asc.get_network_status(network, visualize=False) == {"complete": 4}
    assert len(asc.get_transformation_tasks(one)) == 2
    assert asc.get_tasks_status(mine) == ["complete"]
    state = asc.get_network_strategy_state(network)
    assert state is not None
    assert (state.status, asc.get_network_strategy_status(network)) == ("dormant", "dormant")
    assert state.iterations > 0 and state.last_iteration_result_count == 4
    assert state.last_iteration is not None
    assert timedelta(0) < datetime.now(UTC) - state.last_iteration < timedelta(hours=1)
    assert asc.set_network_strategy_awake(network) == network
    assert asc.get_network_strategy_status(network) == "awake"
    cancelled = asc.create_tasks(two)
    asc.action_tasks(cancelled, network)
    asc.cancel_tasks(cancelled, network)
    asc.set_network_strategy(network, UniformStrategy(UniformStrategySettings(repeats=3)), **NOW)
    here.run()
    assert asc.get_network_status(network, visualize=False) == {"complete": 6, "waiting": 1}
    assert asc.get_tasks_status(cancelled) == ["waiting"]  # what the user has cancelled stays so


@pytest.mark.slow
def test_a_strategy_that_raised_is_set_awake(here: ScopedWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = here.path.parent / "lab"
    lab.mkdir()
    (lab / "lab_strategy.py").write_text(FRAGILE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(lab), os.environ["PYTHONPATH"]]))
    monkeypatch.syspath_prepend(str(lab))
    import lab_strategy

    try:
        asc, network = here.asc, here.create([(0, 1)])
        fragile = lab_strategy.Fragile(UniformStrategySettings(repeats=1))
        with pytest.raises(AlchemiscaleClientError, match="trusted_modules"):
            asc.set_network_strategy(network, fragile, **NOW)
        plan = here.campaigns[0].path / "campaign.yaml"
        plan.write_text(plan.read_text().replace("- dummy_protocol\n", "- dummy_protocol\n- lab_strategy\n"))
        asc.set_network_strategy(network, fragile, **NOW)
        (lab / "broken").touch()
        with here.driver():
            patience.wait_for(lambda: asc.get_network_strategy_status(network) == "error", what="the error")
            state = asc.get_network_strategy_state(network)
            assert state is not None and state.exception == ("ZeroDivisionError", "nothing to divide")
            assert state.traceback is not None and "in propose" in state.traceback
            assert StrategyState.from_dict(state.to_dict()) == state
            (lab / "broken").unlink()
            assert asc.set_network_strategy_awake(network) == network
            assert asc.get_network_strategy_status(network) != "error"
            counts = {"complete": 1}
            patience.wait_for(lambda: asc.get_networks_status([network]) == [counts], what="the result")
    finally:
        sys.modules.pop("lab_strategy", None)


@pytest.mark.slow
def test_errors_keep_the_strategy_from_making_more(here: ScopedWorkspace) -> None:
    asc, network = here.asc, here.create([(0, 1)], script={"simulate 0": {"do": "raise", "times": 1}})
    asc.set_network_strategy(network, UniformStrategy(UniformStrategySettings(repeats=1)), **NOW)
    here.run(code=1)
    assert asc.get_network_status(network, visualize=False) == {"error": 1}
    asc.set_tasks_status(asc.get_network_tasks(network, status="error"), "waiting")
    here.run()
    assert asc.get_network_status(network, visualize=False) == {"complete": 1}


@pytest.mark.skipif(gufe_seam.IS_GUFE_0_4, reason="stratocaster needs a newer gufe")
@pytest.mark.parametrize("name", ["ConnectivityStrategy", "RadialGrowthStrategy"])
def test_stratocasters_own_come_out_as_they_went_in(here: ScopedWorkspace, name: str) -> None:
    strategies = pytest.importorskip("stratocaster.strategies")
    cls = getattr(strategies, name)
    asc, network = here.asc, here.create([(0, 1)])
    settings = cls.default_settings()
    settings.max_runs = 7
    strategy = cls(settings)
    key = asc.set_network_strategy(network, strategy)
    assert key == asc.get_scoped_key(strategy, SCOPE)
    assert asc.get_network_strategy(network) == strategy
    assert str(asc.get_network_strategy(network).key) == str(key.gufe_key)
