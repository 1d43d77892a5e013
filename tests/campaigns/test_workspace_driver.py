"""One driver for all campaigns of a workspace: it shares slots by weight, and what is wrong with one stops no other."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from patience import communicate, wait_for
from workspaces import SmallWorkspace

from xpm_alchem.base.errors import CampaignError
from xpm_alchem.client import Workspace

pytestmark = pytest.mark.slow

SLOTS_4 = {"launcher": {"kind": "local", "slots": 4}}


def workspace(path: Path, *names: str, **given: object) -> SmallWorkspace:
    made = SmallWorkspace(path)
    for name in names:
        made.add(name, **given)  # type: ignore[arg-type]
    return made


def running(made: SmallWorkspace) -> Counter[str]:
    return Counter({name: tasks for name in made.made if (tasks := made.tasks(name, "running"))})


def test_all_are_driven_and_what_is_wrong_with_one_stops_no_other(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b", repeats=2)
    made.add("failing", script={"simulate 0": {"do": "raise"}})
    made.add("broken")
    made.add("without_launcher", plan={"launcher": {"kind": "local", "slots": 2}})
    (made.root / "campaigns" / "broken" / "campaign.yaml").write_text("name: [")
    gone = made.root / "campaigns" / "without_launcher" / "campaign.yaml"
    gone.write_text(gone.read_text().replace("kind: local", "kind: remote"))
    driver = made.start("--stay")
    wait_for(lambda: all(made.tasks(name, "complete") == 2 for name in ("a", "b")) and made.tasks("failing", "error"))
    wait_for(lambda: not any(made.opened(name).status()["driver"] for name in ("a", "b", "failing")))  # it is through
    driver.terminate()
    out, _ = communicate(driver)
    assert driver.returncode == 3
    for said in ("broken", "is no kind of launcher", "Other campaigns go on", "satisfied", "in error"):
        assert said in out
    assert "Traceback" not in out
    listed = made.call("list")
    assert "broken cannot be looked at" in listed
    (made.root / "campaigns" / "broken" / "campaign.yaml").write_text(made.made["broken"].file.read_text())
    gone.write_text(made.made["without_launcher"].file.read_text())
    assert "in error" in made.call("run", "--all", code=1)
    assert made.tasks("broken", "complete") == made.tasks("without_launcher", "complete") == 1


def test_slots_are_held_by_weight_and_a_paused_network_gets_none(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "heavy", "light", "paused", repeats=9, gate=gate, plan=SLOTS_4)
    made.call("network", "weight", "heavy", 0.9)
    made.call("network", "weight", "light", 0.3)
    made.call("network", "weight", "paused", 0)
    driver = made.start()
    wait_for(lambda: running(made).total() == 4)
    assert running(made) == {"heavy": 3, "light": 1}
    gate.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 3, out
    assert [made.tasks(name, "complete") for name in made.made] == [9, 9, 0]
    made.call("network", "weight", "paused", 0.5)
    made.call("run", "--all")
    assert made.tasks("paused", "complete") == 9


def test_networks_come_and_stop_and_go_on_while_it_runs(tmp_path: Path) -> None:
    gates = {name: tmp_path / f"gate-{name}" for name in "abc"}
    made = SmallWorkspace(tmp_path)
    made.add("a", repeats=2, gate=gates["a"], plan=SLOTS_4)
    driver = made.start("--stay")
    wait_for(lambda: running(made) == {"a": 2})
    assert "driven by another process" in made.call("run", "--all", code=2)
    assert "driven by another process" in made.made["a"].run().stderr
    made.add("b", repeats=1, gate=gates["b"], plan=SLOTS_4)
    wait_for(lambda: running(made) == {"a": 2, "b": 1})
    made.call("stop", "a", code=3)
    assert made.opened("a").get_network_state() == "inactive"
    assert running(made) == {"b": 1}
    gates["a"].touch()
    made.call("network", "state", "a", "active")
    wait_for(lambda: made.tasks("a", "complete") == 2)  # nothing was lost, and it was taken up by the same driver
    gates["b"].touch()
    wait_for(lambda: made.tasks("b", "complete") == 1)
    wait_for(lambda: not any(row["driver"] for row in made.shown().values()))  # left to whoever wants something
    made.opened("b").create_tasks(made.opened("b").records.index.transformations[0].name)
    wait_for(lambda: made.tasks("b", "complete") == 2)
    made.add("c", repeats=1, gate=gates["c"])
    wait_for(lambda: running(made) == {"c": 1})
    made.call("stop", "--all", code=3)
    communicate(driver)
    assert driver.returncode == 3
    assert not running(made) and made.opened("c").get_network_state() == "active"
    gates["c"].touch()
    assert "satisfied" in made.call("run", "--all")
    assert {name: made.tasks(name, "complete") for name in "abc"} == {"a": 2, "b": 2, "c": 1}


def test_a_campaign_that_another_process_drives_is_left_to_it_and_taken_up_after_it(tmp_path: Path) -> None:
    gates = {name: tmp_path / f"gate-{name}" for name in "ab"}
    made = SmallWorkspace(tmp_path)
    for name, gate in gates.items():
        made.add(name, gate=gate)
    own = made.made["a"].start()
    wait_for(lambda: running(made) == {"a": 1})
    driver = made.start()
    wait_for(lambda: running(made) == {"a": 1, "b": 1})
    own.send_signal(signal.SIGKILL)
    communicate(own)
    for gate in gates.values():
        gate.touch()
    out, _ = communicate(driver)
    assert driver.returncode == 0 and "left to the process that drives it" in out, out
    assert [made.tasks(name, "complete") for name in "ab"] == [1, 1]
    assert all(len(attempts) == 1 for campaign in made.made.values() for attempts in campaign.attempts().values())


def test_a_killed_driver_is_followed_by_another_and_nothing_is_computed_twice(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "a", "b", "c", repeats=2, gate=gate, plan=SLOTS_4)
    for _ in range(3):
        driver = made.start()
        wait_for(lambda: running(made).total() == 4)
        driver.send_signal(signal.SIGKILL)
        communicate(driver)
    gate.touch()
    made.call("run", "--all")
    for name, campaign in made.made.items():
        assert made.tasks(name, "complete") == 2
        assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_campaigns_that_share_tasks_compute_them_once(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b", "c", repeats=3, edges=[(0, 1), (1, 2)])
    made.call("run", "--all")
    directories = {task.directory for c in made.made.values() for task in c.records.state().tasks.values()}
    assert len(directories) == 6 and all(made.tasks(name, "complete") == 6 for name in made.made)
    for campaign in made.made.values():
        assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_once_submits_and_leaves_and_shares_are_remembered(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "a", "b", repeats=1, gate=gate)
    assert "not finished" in made.call("run", "--all", "--once", code=3)
    assert running(made) == {"a": 1, "b": 1}
    assert (made.root / "driver" / "shares.json").exists()
    gate.touch()
    wait_for(lambda: all(not campaign.at_work() for campaign in made.made.values()))
    made.call("run", "--all", "--once")
    assert [made.tasks(name, "complete") for name in "ab"] == [1, 1]


def test_what_makes_no_sense_is_said(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a")
    for words, said in (
        (("run", "--all", made.made["a"].file), "leave"),
        (("run", "--all", "--dry-run"), "for one campaign"),
        (("run", "--stay", made.made["a"].file), "--stay is for --all"),
        (("run",), "or --all"),
        (("stop",), "or --all"),
        (("stop", "a", "--all"), "or --all"),
    ):
        assert said in made.call(*words, code=2)
    (made.root / "driver").mkdir()
    (made.root / "driver" / "shares.json").write_text('{"format": "xpm-alchem shares", "format_version": 99}')
    assert "newer" in made.call("run", "--all", code=2)
    (made.root / "driver" / "shares.json").write_text("{")
    made.call("run", "--all")


def test_the_workspace_s_budget_is_for_all_together(tmp_path: Path) -> None:
    settings = Path(os.environ["HOME"]) / ".config" / "experimaestro" / "settings.yaml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("xpm_alchem: {budget: {total: 1 EUR}}\n")
    price = {"launcher": {"kind": "local", "slots": 1, "price": {"core_hour": 36000, "unit": "EUR"}}}  # 10 EUR a second
    made = workspace(tmp_path, "a", "b", repeats=5, plan=price, step_seconds=0.05)
    out = made.call("run", "--all", code=4)
    assert "for all campaigns of the workspace the budget's total is used up" in out
    complete = sum(made.tasks(name, "complete") for name in "ab")
    assert 1 <= complete < 10
    assert "for all campaigns of the workspace" in made.made["b"].run().stdout  # whoever drives
    settings.write_text("xpm_alchem: {budget: {per_result: 1 EUR}}\n")
    assert "per_result is of one campaign" in made.call("run", "--all", code=2)
    settings.write_text("{}\n")
    made.call("run", "--all")
    assert sum(made.tasks(name, "complete") for name in "ab") == 10


def test_in_the_background(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    made = workspace(tmp_path, "a", "b", gate=gate)
    there = Workspace(made.root)
    assert "stop --all" in made.call("run", "--all", "--detach", "--stay", code=3)
    wait_for(lambda: running(made) == {"a": 1, "b": 1})
    assert "driven by another process" in made.call("run", "--all", "--detach", code=2)
    gate.touch()
    wait_for(lambda: (made.root / "driver" / "driver.out").read_text().count("satisfied") == 2)
    assert [made.tasks(name, "complete") for name in "ab"] == [1, 1]
    assert "stopped" in made.call("stop", "--all", code=3)
    made.call("run", "--all", "--detach", code=None)  # it may have ended by then
    wait_for(lambda: there.holder() is None)


def test_from_python(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b")
    seen: list[str] = []
    there = Workspace(str(made.root))
    assert there.run(observe=lambda name, event: seen.append(name)) == 0
    assert {"a", "b"} <= set(seen)
    assert [campaign.name for campaign in there.campaigns()] == ["a", "b"]
    assert [campaign.name for campaign in there] == ["a", "b"]
    assert "<Workspace" in repr(there) and "<table>" in there._repr_html_()
    assert there.stop() == 3 and there.holder() is None


def test_a_program_is_told_what_happens_in_which_campaign(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = workspace(tmp_path, "a", "b")
    assert Workspace(made.root).run() == 0
    lines = capfd.readouterr().err.splitlines()
    assert sum("complete" in line for line in lines if "  a  " in line) == 1
    assert lines[-1].endswith("satisfied: no campaign wants more results")
    assert Workspace(made.root).run(progress=False) == 0
    assert capfd.readouterr().err == ""


def test_a_program_drives_all_in_the_background(tmp_path: Path) -> None:
    made = workspace(tmp_path, "a", "b")
    there = Workspace(made.root)
    with pytest.raises(CampaignError, match="background"):
        there.run(detach=True, once=True)
    assert there.run(detach=True, progress=False) in (0, 3)  # 0: it has ended already
    wait_for(lambda: sum(made.tasks(name, "complete") for name in "ab") == 2 and there.holder() is None)
