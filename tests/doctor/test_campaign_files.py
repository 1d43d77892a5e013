"""The doctor's checks of a campaign: each is shown something whole and something really broken."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import SmallCampaign
from doctored import HOURS_AGO, Patient, append, change, make_old, told, truncate, wrong
from places import python_path

from xpm_alchem.base.disk_cache import DiskCache
from xpm_alchem.base.errors import CampaignLockedError
from xpm_alchem.base.journal import Journal
from xpm_alchem.base.prefix import Prefix
from xpm_alchem.campaign.records import TASKS, CampaignRecords
from xpm_alchem.campaign.snapshot import write_snapshot
from xpm_alchem.campaign.task_state import CampaignState, TaskStatus
from xpm_alchem.doctor.campaign_files import CampaignFiles
from xpm_alchem.doctor.check import CAMPAIGN, perform
from xpm_alchem.doctor.gufe_files import units_of
from xpm_alchem.doctor.survey import Survey
from xpm_alchem.execution.attempt_log import AttemptLog
from xpm_alchem.execution.directory import TaskSummary
from xpm_alchem.execution.processes import HOST, ProcessIdentity


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallCampaign]:
    """A campaign that has run: one transformation, two repeats, four units each."""
    place = tmp_path_factory.mktemp("finished")
    (place / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place / "home"))
        patch.setenv("XPM_WORKDIR", str(place / "home" / "xpm"))
        patch.setenv("PYTHONPATH", python_path())
        plan = {"strategy": {"name": "uniform", "settings": {"repeats": 2}}}
        campaign = SmallCampaign(place / "c", edges=[(0, 1)], n_simulations=2, plan=plan)
        done = campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    yield campaign


@pytest.fixture
def patient(finished: SmallCampaign, tmp_path: Path) -> Patient:
    """A copy of it."""
    shutil.copytree(finished.path, tmp_path / "c", symlinks=True)
    campaign = copy.copy(finished)
    campaign.path = tmp_path / "c"
    return Patient(campaign)


def test_a_campaign_that_is_whole_has_nothing_wrong(patient: Patient) -> None:
    before = patient.tree()
    view = patient.examine()
    assert wrong(view) == {} and view["faults"] == 0
    assert patient.tree() == before
    assert "every file of 2 task(s) is whole" in told(view, "task files")
    assert "none among 2 task directories" in told(view, "orphans")


# ------------------------------------------------------------------------------------------------ what is damaged
def _journal(patient: Patient) -> Path:
    return patient.path / "tasks.jsonl"


def _plan(p: Patient) -> None:
    (p.path / "campaign.yaml").write_text("name: small\nnetwork: network.json\nstratgy: uniform\n")


def _flip_in_journal(p: Patient) -> None:
    data = bytearray(_journal(p).read_bytes())
    data[data.index(b'"event": "submitted"')] ^= 0x40
    _journal(p).write_bytes(data)


def _newer_journal(p: Patient) -> None:
    text = _journal(p).read_text()
    _journal(p).write_text(text.replace('"format_version": 1', '"format_version": 9'))


def _other_network(p: Patient) -> None:
    index = json.loads((p.path / "index.json").read_text())
    index["transformations"][0]["id"] = "0123456789abcdef"
    (p.path / "index.json").write_text(json.dumps(index))


def _lose_ending(p: Patient) -> None:
    """The driver was killed before it took in the results."""
    p.write_journal([record for record in p.journal() if record.get("event") != "status"])


def _lose_directory(p: Patient) -> None:
    _lose_ending(p)
    shutil.rmtree(p.files.path)


def _error_all_the_same(p: Patient) -> None:
    task = next(iter(p.records.state().tasks))
    append(_journal(p), {"event": "status", "task": task, "status": "error", "reason": "?", "time": 1.0})


def _orphan(p: Patient) -> None:
    shutil.copytree(p.files.path, p.files.path.with_name("f" * 64))


def _dead_attempt(p: Patient) -> None:
    _lose_ending(p)
    p.files.summary.unlink()
    p.files.result.unlink()
    start = {"event": "start", "attempt": 2, "time": time.time(), "host": HOST, "pid": 2**22 + 1, "pid_start": 1.0}
    append(p.files.attempts, start)


def _unfinished(p: Patient) -> None:
    """Take a task's last unit and end away, as if its attempt had been stopped."""
    _lose_ending(p)
    p.files.result.unlink()
    next(p.files.results.glob("Analyse-*.json")).unlink()
    change(p.files.summary, status="stopped")
    lines = [json.loads(line) for line in p.files.attempts.read_text().splitlines()]
    lines = [line for line in lines if line.get("event") != "decision"]
    for line in lines:
        if line.get("event") == "end":
            line["outcome"] = "timeout"
    p.files.attempts.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _unfinished_with_damaged_unit(p: Patient) -> None:
    _unfinished(p)
    truncate(p.unit_results()[0])


def _unfinished_with_damaged_dag(p: Patient) -> None:
    _unfinished(p)
    truncate(p.files.dag)


def _fails_on_checkpoints(p: Patient) -> None:
    _unfinished(p)
    failure = {"event": "unit", "attempt": 1, "name": "analyse", "ok": False, "set_aside": "x", "time": 1.0}
    append(p.files.attempts, failure, failure)


def _dies_on_a_checkpoint(p: Patient) -> None:
    _unfinished(p)
    unit = next(p.files.shared(key) for key in units_of(p.files.dag) if key.startswith("Analyse-"))
    unit.mkdir(parents=True)
    (unit / "checkpoint").write_bytes(b"poison" * 1000)
    for number in (2, 3):
        start = {"event": "start", "attempt": number, "time": 1.0, "host": HOST, "pid": 5, "pid_start": 1.0}
        end = {"event": "end", "attempt": number, "time": 2.0, "outcome": "lost", "progress": False}
        append(p.files.attempts, start, end)


def _newer_summary(p: Patient) -> None:
    change(p.files.summary, format_version=7)


def _forget_inbox(p: Patient) -> None:
    change(p.path / "driver.json", inbox=1000)


def _from_scratch(p: Patient) -> None:
    """Attempts that died on a checkpoint; then all was set aside, and one more has died."""
    _dies_on_a_checkpoint(p)
    for path in (p.files.dag, p.files.results, p.files.path / "shared"):
        path.rename(path.with_name(f"{path.name}.set-aside-0"))
    p.files.make()
    place = {"attempt": 4, "time": 3.0}
    start = {**place, "event": "start", "host": HOST, "pid": 5, "pid_start": 1.0}
    fresh = {**place, "event": "unit", "name": "all units", "fresh": True}
    end = {**place, "event": "end", "outcome": "lost", "progress": False}
    append(p.files.attempts, start, fresh, end)
    checkpoint = p.files.path / "shared" / "Analyse-1" / "checkpoint"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"good")


def _damaged_history(p: Patient) -> None:
    lines = p.files.attempts.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b":", b";", 1)
    p.files.attempts.write_bytes(b"\n".join(lines))


def _name_that_is_no_text(p: Patient) -> None:
    (p.files.path / "shared" / os.fsdecode(b"\xff.set-aside-0")).mkdir()


def _slurm_batch(p: Patient) -> None:
    (p.workspace / "slurm" / "20260101-000000-abc").mkdir(parents=True)
    (p.workspace / "slurm" / "20260101-000000-abc" / "batch.json").write_text('{"format": ')


DAMAGES: list[tuple[Callable[[Patient], object], dict[str, str], str, str]] = [
    (_plan, {"campaign.yaml": "fault", "network.json": "warning"}, "campaign.yaml", "did you mean 'strategy'?"),
    (
        lambda p: (p.path / "campaign.yaml").unlink(),
        {"campaign.yaml": "fault", "network.json": "warning"},
        "campaign.yaml",
        "missing",
    ),
    (
        lambda p: truncate(p.path / "index.json"),
        {"index.json": "warning"},
        "index.json",
        "network.json is read in its place",
    ),
    (
        lambda p: change(p.path / "index.json", format_version=5),
        {"index.json": "fault", "network.json": "warning", "tasks.jsonl": "fault", "tasks": "fault"},
        "index.json",
        "upgrade xpm-alchem",
    ),
    (lambda p: truncate(p.path / "network.json"), {"network.json": "fault"}, "network.json", "cut short"),
    (lambda p: (p.path / "network.json").unlink(), {"network.json": "fault"}, "network.json", "no such network"),
    (_other_network, {"index.json": "warning"}, "index.json", "damaged"),
    (lambda p: truncate(p.path / "driver.json"), {"driver.json": "fault"}, "driver.json", "no result is lost"),
    (lambda p: (p.path / "driver.json").unlink(), {"driver.json": "warning"}, "driver.json", "missing"),
    (
        lambda p: change(p.path / "driver.json", strategy={"stat": 1}),
        {"driver.json": "fault"},
        "driver.json",
        "'strategy.stat'",
    ),
    (
        lambda p: (p.path / "alchemiscale.json").write_text("{"),
        {"alchemiscale.json": "fault"},
        "alchemiscale.json",
        "damaged",
    ),
    (_forget_inbox, {"driver.json": "fault"}, "driver.json", "set 'inbox'"),
    (_flip_in_journal, {"tasks.jsonl": "fault"}, "tasks.jsonl", "1 damaged line(s) are passed over (3)"),
    (lambda p: _journal(p).write_bytes(b""), {"tasks.jsonl": "fault", "orphans": "warning"}, "tasks.jsonl", "empty"),
    (lambda p: shutil.rmtree(p.files.path), {"task directories": "fault"}, "task directories", "1 complete task(s)"),
    (lambda p: truncate(p.files.dag), {"task files": "fault"}, "task files", "dag.json: damaged"),
    (lambda p: p.files.dag.unlink(), {"task files": "fault"}, "task files", "dag.json: missing"),
    (lambda p: truncate(p.unit_results()[1]), {"task files": "fault"}, "task files", ".json: damaged ("),
    (lambda p: p.unit_results()[0].unlink(), {"task files": "fault"}, "task files", "missing"),
    (
        lambda p: shutil.copy(p.unit_results()[0], p.unit_results()[1]),
        {"task files": "fault"},
        "task files",
        "of another unit",
    ),
    (lambda p: p.files.attempts.unlink(), {"task files": "warning"}, "task files", "attempts.jsonl: missing"),
    (lambda p: p.files.attempts.write_bytes(b""), {"task files": "warning"}, "task files", "attempts.jsonl: empty"),
    (_damaged_history, {"task files": "warning"}, "task files", "attempts.jsonl: damaged (line 2)"),
    (
        lambda p: change(p.files.attempts.with_name("summary.json"), format="x"),
        {"results": "warning"},
        "results",
        "summary.json: damaged (not a 'xpm-alchem task summary' file",
    ),
    (_name_that_is_no_text, {}, "checkpoints", "\\udcff.set-aside-0"),
    (lambda p: p.files.orders.write_text("{}"), {"task files": "fault"}, "task files", "orders.json: damaged"),
    (_newer_summary, {"task files": "fault"}, "task files", "newer xpm-alchem"),
    (lambda p: p.files.result.unlink(), {"results": "fault"}, "results", "result.json: missing"),
    (
        lambda p: shutil.copy(p.files.dag, p.files.result),
        {"results": "fault"},
        "results",
        "holds a ProtocolDAG instead of a ProtocolDAGResult",
    ),
    (lambda p: change(p.files.summary, status="running"), {"results": "warning"}, "results", "says 'running'"),
    (_lose_ending, {"late results": "warning"}, "late results", "2 task(s) have a complete result"),
    (
        _lose_directory,
        {"task directories": "warning", "late results": "warning"},
        "task directories",
        "1 task(s) were submitted and have no directory",
    ),
    (_error_all_the_same, {"late results": "warning"}, "late results", "xpm-alchem retry"),
    (_orphan, {"orphans": "warning"}, "orphans", "f" * 64),
    (_dead_attempt, {"attempts": "warning", "late results": "warning"}, "attempts", "attempt 2, pid"),
    (_unfinished, {"late results": "warning"}, "late results", "1 task(s) have a complete result"),  # of the other task
    (
        _unfinished_with_damaged_unit,
        {"task files": "warning", "late results": "warning"},
        "task files",
        "the next attempt makes them again",
    ),
    (
        _unfinished_with_damaged_dag,
        {"task files": "fault", "late results": "warning"},
        "task files",
        "cannot go on",
    ),
    (
        _fails_on_checkpoints,
        {"checkpoints": "warning", "late results": "warning"},
        "checkpoints",
        "unit 'analyse' failed 2 times",
    ),
    (
        _dies_on_a_checkpoint,
        {"checkpoints": "warning", "late results": "warning"},
        "checkpoints",
        "the last 2 attempts made no progress from it (lost)",
    ),
    (_from_scratch, {"late results": "warning"}, "checkpoints", "shared.set-aside-0"),
    (lambda p: (p.path / "given.yaml").write_text("["), {"campaign.yaml": "warning"}, "campaign.yaml", "given.yaml"),
    (_slurm_batch, {"slurm batches": "warning"}, "slurm batches", "1 of 1 batch(es)"),
]


@pytest.mark.parametrize(("damage", "verdicts", "check", "words"), DAMAGES)
def test_what_is_broken_is_found_and_nothing_else_is_said(
    patient: Patient, damage: Callable[[Patient], object], verdicts: dict[str, str], check: str, words: str
) -> None:
    damage(patient)
    before = patient.tree()
    view = patient.examine()
    assert wrong(view) == verdicts
    assert words in told(view, check)
    assert all(row["mend"] for row in view["checks"] if row["verdict"] != "ok")
    assert patient.tree() == before


def test_a_journal_of_a_newer_version_keeps_the_tasks_from_being_looked_at(patient: Patient) -> None:
    _newer_journal(patient)
    view = patient.examine()
    assert "upgrade xpm-alchem" in told(view, "tasks.jsonl")
    assert wrong(view) == {"tasks.jsonl": "fault", "tasks": "fault"}


def test_a_clock_that_differs_is_found_by_host(patient: Patient) -> None:
    for directory in patient.directories():
        summary = TaskSummary.read(directory / "summary.json")
        os.utime(directory / "summary.json", (summary.updated - 100, summary.updated - 100))
    view = patient.examine()
    assert wrong(view) == {"node clocks": "warning"}
    assert f"{HOST} 100 s ahead" in told(view, "node clocks")


def test_what_was_set_aside_is_told_with_its_size(patient: Patient) -> None:
    aside = patient.files.path / "shared" / "Simulate-1.set-aside-0"
    aside.mkdir()
    (aside / "checkpoint").write_bytes(b"0" * 2_000_000)
    view = patient.examine()
    assert wrong(view) == {}
    assert "Simulate-1.set-aside-0 (2.0 MB)" in told(view, "checkpoints")


def test_while_a_driver_runs_what_it_sees_to_is_not_told(patient: Patient) -> None:
    _dead_attempt(patient)
    me = ProcessIdentity.of()
    with patient.records.lock():
        view = patient.examine()
    assert wrong(view) == {}
    assert f"pid {me.pid}" in told(view, "driver")


def test_a_line_that_a_kill_cut_short_is_no_fault(patient: Patient) -> None:
    with open(_journal(patient), "a") as out:
        out.write('{"event": "status", "task": "77228\n')
    view = patient.examine()
    assert wrong(view) == {}
    assert "1 that a kill cut short are passed over" in told(view, "tasks.jsonl")


_NONSENSE = (None, [], {}, -1, 1e308, "x", True, "../../x", [[1]], 10**400, "\ud800")


def _damaged(data: bytes, rng: random.Random) -> bytes:
    """Flip a bit, cut, blank, or replace or drop a value."""
    match rng.choice(("flip", "cut", "blank", "junk", "value", "value", "value")):
        case "flip":
            place = rng.randrange(len(data))
            return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        case "cut":
            return data[: rng.randrange(len(data))]
        case "blank":
            place = rng.randrange(len(data))
            return data[:place] + b"\0" * 50 + data[place + 50 :]
        case "junk":
            return rng.choice((b"null", b"[]", b"{}", b"1e999", b"NaN", b"[" * 100_000))
    lines = data.split(b"\n") if b'\n{"' in data else [data]
    number = rng.randrange(len(lines))
    try:
        content = json.loads(lines[number])
    except ValueError:
        return b""
    inside = content
    while isinstance(inside, dict | list) and inside:
        key = rng.choice(list(inside)) if isinstance(inside, dict) else rng.randrange(len(inside))
        if rng.random() < 0.5 or not isinstance(inside[key], dict | list):
            inside[key] = rng.choice(_NONSENSE)
            break
        inside = inside[key]
    lines[number] = json.dumps(content).encode()
    return b"\n".join(lines)


@pytest.mark.slow
def test_no_damage_breaks_a_check(patient: Patient) -> None:
    rng = random.Random(4)
    places = (patient.path, patient.files.path, patient.files.results)
    files = [p for place in places for p in sorted(place.iterdir()) if p.suffix in (".json", ".jsonl", ".yaml")]
    for _ in range(120):
        path = rng.choice(files)
        data = path.read_bytes()
        path.write_bytes(_damaged(data, rng))
        checks = CampaignFiles(CampaignRecords(patient.path), None).checks()
        checks += Survey(CampaignRecords(patient.path), is_driven=False).checks()
        for finding in perform(CAMPAIGN, checks):
            json.dumps(finding.view()).encode()
            assert "could not be" not in finding.found, (path.name, path.read_bytes()[:1000])
        path.write_bytes(data)


# -------------------------------------------------------------------------------------------------------- mending
def _torn(path: Path) -> None:
    with open(path, "a") as out:
        out.write('{"event": "sta')


def _cached(p: Patient) -> None:
    cache = DiskCache(p.records.cache_path, 10**6)
    for name in ("good", "bad"):
        cache.put(name, {"n": 1}, "text" * 100)
    data = bytearray((p.records.cache_path / "bad.cached").read_bytes())
    data[-5] ^= 1
    (p.records.cache_path / "bad.cached").write_bytes(data)


def _snapshot(p: Patient, *, reason: str = "") -> None:
    """Leave a snapshot; with a `reason` it tells of a task what the journal does not."""
    journal, state = _journal(p), CampaignState(p.records.index.by_id)
    lines, _ = Journal(journal, TASKS).whole_lines()
    for record in Journal(journal, TASKS).records(lines, from_start=True):
        state.apply(record)
    next(iter(state.tasks.values())).reason += reason
    prefix = Prefix.of(journal, len(lines))
    assert prefix is not None
    write_snapshot(p.records.snapshot_path, journal, state, prefix, p.records.index.by_id)


def test_a_snapshot_that_tells_what_the_journal_tells_is_whole(patient: Patient) -> None:
    _snapshot(patient)
    assert "tells what the journal tells" in told(patient.examine(), "tasks.snapshot")
    append(_journal(patient), {"event": "actioned", "task": "none", "time": 1.0})
    assert "tells what the journal tells" in told(patient.examine(), "tasks.snapshot")
    _journal(patient).write_text(_journal(patient).read_text().replace('"time": 1.0', '"time": 2.0'))
    before = patient.tree()
    assert wrong(patient.examine()) == {}
    assert patient.tree() == before


def _scratch(p: Patient) -> None:
    (p.files.path / "scratch" / "unit").mkdir(parents=True)
    (p.files.path / "scratch" / "unit" / "trajectory").write_bytes(b"0" * 1000)


def _temporaries(p: Patient) -> None:
    for place in (p.path, p.files.path, p.files.results):
        make_old(_written(place / ".summary.json.4711.0a1b2c3d.tmp"))
        _written(place / ".summary.json.4712.0a1b2c3d.tmp")  # perhaps of a writer that is at work
    kept = p.files.path / "shared" / "unit"
    kept.mkdir()
    make_old(_written(kept / ".checkpoint.json.4711.0a1b2c3d.tmp"))  # shared/ is the protocol's
    begun = p.path.with_name(".small.4711.tmp")
    begun.mkdir()
    _written(begun / "network.json")
    make_old(begun)
    networks = p.path / "networks"
    networks.mkdir()
    make_old(_written(networks / f"asked-{'0' * 32}.json"))
    make_old(_written(networks / f"asked-{'1' * 32}.json"))  # which a driver has yet to take in
    p.records.ask(request="grow", file=f"networks/asked-{'1' * 32}.json")


def _written(path: Path) -> Path:
    path.write_text("half")
    return path


MENDINGS: list[tuple[Callable[[Patient], object], str, set[str], set[str], set[str]]] = [
    # damage, check, what --fix removes, adds and changes: W the workspace, C the campaign, T the task
    (
        lambda p: _torn(_journal(p)),
        "tasks.jsonl",
        set(),
        {"C/tasks.jsonl.before-fix-1"},
        {"C/tasks.jsonl"},
    ),
    (
        lambda p: (p.records.ask(request="awake"), _torn(p.path / "inbox.jsonl")),
        "inbox.jsonl",
        set(),
        {"C/inbox.jsonl.before-fix-1"},
        {"C/inbox.jsonl"},
    ),
    (
        lambda p: _torn(p.files.attempts),
        "task files",
        set(),
        {"T/attempts.jsonl.before-fix-1"},
        {"T/attempts.jsonl"},
    ),
    (_cached, "cache", {"C/cache/bad.cached"}, set(), set()),
    (lambda p: _snapshot(p, reason="of nowhere"), "tasks.snapshot", {"C/tasks.snapshot"}, set(), set()),
    (
        lambda p: (_snapshot(p), truncate(p.records.snapshot_path)),
        "tasks.snapshot",
        {"C/tasks.snapshot"},
        set(),
        set(),
    ),
    (_scratch, "scratch", {"T/scratch/unit", "T/scratch/unit/trajectory"}, set(), set()),
    (
        _temporaries,
        "temporary files",
        {
            "C/.summary.json.4711.0a1b2c3d.tmp",
            "T/.summary.json.4711.0a1b2c3d.tmp",
            "T/results/.summary.json.4711.0a1b2c3d.tmp",
            "W/campaigns/.small.4711.tmp",
            "W/campaigns/.small.4711.tmp/network.json",
            f"C/networks/asked-{'0' * 32}.json",
        },
        set(),
        set(),
    ),
    (lambda p: p.files.summary.unlink(), "results", set(), {"T/summary.json"}, set()),
    (lambda p: truncate(p.files.summary), "results", set(), {"T/summary.json.set-aside-1"}, {"T/summary.json"}),
    (lambda p: p.files.result.unlink(), "results", set(), {"T/result.json"}, set()),
    (lambda p: truncate(p.files.result), "results", set(), {"T/result.json.set-aside-1"}, {"T/result.json"}),
    (
        lambda p: (p.files.result.unlink(), p.files.summary.unlink()),
        "results",
        set(),
        {"T/result.json", "T/summary.json"},
        set(),
    ),
]


@pytest.mark.parametrize(("damage", "check", "removed", "added", "changed"), MENDINGS)
def test_fix_mends_what_it_says_and_touches_nothing_else(
    patient: Patient,
    damage: Callable[[Patient], object],
    check: str,
    removed: set[str],
    added: set[str],
    changed: set[str],
) -> None:
    whole = patient.tree()
    damage(patient)
    before = patient.tree()
    assert any(row["can_fix"] for row in patient.examine()["checks"] if row["check"] == check)
    view = patient.examine(fix=True)
    after = patient.tree()
    assert wrong(view) == {} and not view["not_mended"] and view["mended"]
    task = str(patient.files.path.relative_to(patient.workspace))

    def full(names: set[str]) -> set[str]:
        roots = {"W": "", "C": "campaigns/small/", "T": f"{task}/"}
        return {roots[name[0]] + name[2:] for name in names}

    assert before.keys() - after.keys() == full(removed)
    assert after.keys() - before.keys() == full(added)
    assert {key for key in before.keys() & after.keys() if before[key] != after[key]} == full(changed)
    for name in added:
        if "before-fix" in name or "set-aside" in name:
            original = name.partition(".before-fix")[0].partition(".set-aside")[0]
            assert after[full({name}).pop()] == before[full({original}).pop()]
    for path in (*full({"T/result.json"}), "campaigns/small/network.json"):
        assert (
            after[path] == whole[path] or json.loads(after[path] or b"")[-1][0] == json.loads(whole[path] or b"")[-1][0]
        )


def test_a_summary_that_was_made_again_says_what_the_lost_one_said(patient: Patient) -> None:
    before = TaskSummary.read(patient.files.summary)
    patient.files.summary.unlink()
    patient.examine(fix=True)
    assert TaskSummary.read(patient.files.summary).evolve(updated=before.updated) == before


def test_a_result_is_not_made_again_where_a_unit_has_none(patient: Patient) -> None:
    patient.files.result.unlink()
    patient.unit_results()[0].unlink()
    before = patient.tree()
    view = patient.examine(fix=True)
    assert wrong(view) == {"task files": "fault", "results": "fault"}
    assert view["mended"] == [] and patient.tree() == before


def test_a_result_whose_protocol_is_not_trusted_is_not_made_again(patient: Patient) -> None:
    patient.files.result.unlink()
    plan = (patient.path / "campaign.yaml").read_text()
    (patient.path / "campaign.yaml").write_text(plan.replace("- dummy_protocol", "- other_protocol"))
    before = patient.tree()
    view = patient.examine(fix=True)
    assert "dummy_protocol" in "".join(view["not_mended"]) and "UntrustedModuleError" in view["not_mended"][0]
    assert patient.tree() == before


def test_nothing_is_mended_in_a_task_whose_lock_is_held(patient: Patient) -> None:
    import filelock

    _scratch(patient)
    with filelock.FileLock(patient.files.lock):
        view = patient.examine(fix=True)
    assert view["mended"] == [] and wrong(view) == {"scratch": "warning"}


def test_fix_refuses_while_a_driver_runs(patient: Patient) -> None:
    _scratch(patient)
    before = patient.tree()
    other = CampaignRecords(patient.path)
    with other.lock():
        during = patient.tree()
        with pytest.raises(CampaignLockedError, match=f"pid {os.getpid()}"):
            patient.examine(fix=True)
        assert patient.tree() == during
    assert patient.tree() == before


def test_fix_removes_the_name_of_a_driver_that_was_killed(patient: Patient) -> None:
    record = {"format": "xpm-alchem driver state", "format_version": 1, "host": HOST, "pid": 2**22 + 1, "start": 1.0}
    (patient.path / "holder.json").write_text(json.dumps({**record, "since": HOURS_AGO}))
    assert "was killed" in told(patient.examine(), "driver")
    view = patient.examine(fix=True)
    assert "holder.json" in view["mended"][0] and not (patient.path / "holder.json").exists()


def test_a_campaign_that_was_mended_goes_on(patient: Patient) -> None:
    patient.files.summary.unlink()
    truncate(patient.files.result)
    _torn(_journal(patient))
    _torn(patient.files.attempts)
    assert patient.examine(fix=True)["faults"] == 0
    done = patient.campaign.run()
    assert done.returncode == 0, done.stdout + done.stderr
    tasks = patient.campaign.records.state().tasks.values()
    assert [task.status for task in tasks] == [TaskStatus.COMPLETE] * 2
    assert len(AttemptLog(patient.files.attempts).read()) == 1


# ------------------------------------------------------------------------------- whether the advice that is given helps
def _advice(view: dict[str, Any], check: str) -> str:
    (row,) = (row for row in view["checks"] if row["check"] == check)
    return str(row["mend"])


@pytest.mark.slow
def test_a_plan_that_is_broken_is_mended_as_told(patient: Patient) -> None:
    _plan(patient)
    command = _advice(patient.examine(), "campaign.yaml").partition("or: ")[2].partition(";")[0]
    assert patient.campaign.run().returncode == 2
    assert subprocess.run(command, shell=True).returncode == 0
    assert wrong(patient.examine()) == {}
    assert patient.campaign.run().returncode == 0


def test_a_driver_state_that_is_lost_is_mended_as_told(patient: Patient) -> None:
    patient.records.ask(request="cancel", task="an old request that must not be granted again")
    truncate(patient.path / "driver.json")
    command = _advice(patient.examine(), "driver.json").partition("without one: ")[2].partition(";")[0]
    assert patient.campaign.run().returncode == 2
    assert subprocess.run(command, shell=True).returncode == 0
    view = patient.examine()
    assert wrong(view) == {} and "wait for a driver" not in told(view, "driver.json")
    assert patient.campaign.run().returncode == 0


def test_a_late_result_of_a_task_in_error_is_taken_in_as_told(patient: Patient) -> None:
    _error_all_the_same(patient)
    assert "xpm-alchem retry" in _advice(patient.examine(), "late results")
    assert patient.campaign.call("retry", patient.campaign.file, "ligand_0_ligand_1_vacuum:1").returncode == 0
    assert patient.campaign.run().returncode == 0
    assert wrong(patient.examine()) == {}
    assert len(AttemptLog(patient.files.attempts).read()) == 1


@pytest.mark.slow
def test_a_repeat_whose_files_are_lost_is_computed_anew_under_another_name_as_told(patient: Patient) -> None:
    patient.unit_results()[0].unlink()
    patient.files.result.unlink()
    second = patient.directories()[1]
    other = TaskSummary.read(second / "summary.json")
    assert "under another 'name'" in _advice(patient.examine(), "task files")
    patient.files.path.rename(patient.workspace / "moved")
    patient.campaign.plan = {**patient.campaign.plan, "name": "second"}
    patient.campaign.write_plan()
    assert patient.campaign.run().returncode == 0
    assert wrong(patient.examine()) == {}  # the first campaign's repeat is the same task
    assert TaskSummary.read(second / "summary.json") == other


def test_an_unfinished_task_that_cannot_go_on_is_begun_anew_as_told(patient: Patient) -> None:
    _unfinished_with_damaged_dag(patient)
    assert "move the task's directory away" in _advice(patient.examine(), "task files")
    patient.files.path.rename(patient.workspace / "moved")
    assert patient.campaign.run().returncode == 0
    assert wrong(patient.examine()) == {}
