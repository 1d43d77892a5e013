"""`xpm-alchem watch`: the real application without a terminal, on campaigns in which much has happened."""

from __future__ import annotations

import asyncio
import os
import pty
import shutil
import subprocess
import sys
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from filled_campaign import filled_campaign, network_index, scattered
from histories import PastCampaign
from patience import wait_for
from textual.app import App
from textual.widgets import Static
from watched import LARGE, SMALL, Watched, watch

from xpm_alchem.base.values import printable
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.client import Campaign
from xpm_alchem.execution.attempts import Outcome
from xpm_alchem.execution.directory import TaskDirectory
from xpm_alchem.watch.columns import columns_for, shortened
from xpm_alchem.watch.picture import Watcher
from xpm_alchem.watch.screens import TextScreen, tame

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE])
EDGES = [(n, n + 1) for n in range(6)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the campaign once: two transformations in error, two with results, one that waits, one untouched."""
    path = tmp_path_factory.mktemp("watch") / "made"
    past = PastCampaign(path, EDGES)
    past.fail(["RuntimeError: no [b]GPU[/b] today", "ValueError: bad box"])
    for edge, estimates in ((2, (-3.0, -3.5)), (3, (1.25,))):
        for repeat, estimate in enumerate(estimates, start=1):
            task = past.task(edge, repeat)
            past.attempt(task, Outcome.COMPLETE)
            facts = {"estimate": estimate, "seconds": 60.0, "attempts": 1}
            past.write({"event": "status", "task": task.task, "status": "complete", **facts})
    running = past.task(2, 3)
    past.attempt(running, None)
    past.summary(running, units_total=3, units_done=1)
    past.task(4)
    return path


@pytest.fixture
def past(made: Path, tmp_path: Path) -> PastCampaign:
    """Return a copy of the campaign for one test."""
    shutil.copytree(made, tmp_path / "past")
    copy = PastCampaign.__new__(PastCampaign)
    copy.records = CampaignRecords.open(tmp_path / "past" / "workspace" / "campaigns" / "past")
    return copy


# ------------------------------------------------------------------------------------------------------ what is shown
@SIZES
def test_everything_that_matters_is_on_the_screen(past: PastCampaign, size: tuple[int, int]) -> None:
    async def look(watched: Watched) -> None:
        await watched.until(lambda: "q Quit" in watched.screen)  # the last that is drawn
        screen = watched.screen
        for word in ("3 complete, 1 running, 1 waiting, 2 error", "no driver: `xpm-alchem run` goes on", "-3.250"):
            assert word in screen
        assert "uniform, partial, awake" in screen
        assert "ligand_5_ligand_6_vacuum" in screen
        assert "6 transformations" in screen
        assert "what happened last" in screen
        assert "q Quit" in screen
        assert max(map(len, screen.splitlines())) <= size[0]
        assert ("2C 1R" in screen) is (size == SMALL)

    watch(past.records, size, look)


def test_a_wide_terminal_shows_more(past: PastCampaign) -> None:
    async def look(watched: Watched) -> None:
        screen = watched.screen
        for heading in ("leg", "done", "run", "wait", "err", "weight", "cost"):
            assert heading in screen
        assert "error: RuntimeError: no [b]GPU[/b] today" in screen  # text is never markup
        assert "repeat 3: unit 2/3" in screen
        assert "tasks of ligand_0_ligand_1_vacuum" in screen

    watch(past.records, LARGE, look)


def test_a_campaign_without_any_task(tmp_path: Path) -> None:
    async def look(watched: Watched) -> None:
        assert "no task yet" in watched.screen
        await watched.press("enter")
        await watched.text_with("it has no task yet")
        await watched.press("escape", "l")
        assert "has no task yet" in watched.said("message")

    watch(PastCampaign(tmp_path / "new", EDGES).records, SMALL, look)


def test_the_network_grows_meanwhile(past: PastCampaign) -> None:
    other = Campaign(CampaignRecords.open(past.records.path))
    gone = "ligand_2_ligand_3_vacuum"  # one with results, and an attempt at work

    async def look(watched: Watched) -> None:
        await watched.until(lambda: "2-3" in watched.names)
        other.drop(gone)
        await watched.until(lambda: "2-3" not in watched.names)
        assert len(watched.names) == 5
        await watched.until(lambda: "5 transformations" in watched.screen)
        for key in ("enter", "escape", "f", "escape", "t", "w", "escape"):
            await watched.press(key)
        other.grow(past.records.path / "network.json")
        await watched.until(lambda: "2-3" in watched.names)
        assert watched.said("message") == ""

    watch(past.records, LARGE, look)


def test_status_is_a_letter_and_not_only_a_colour(past: PastCampaign) -> None:
    async def look(watched: Watched) -> None:
        for words in ("1E ", "1W ", "2C 1R", "W ligand_4_ligand_5_vacuum:1  waiting", "R ligand_2_ligand_3_vacuum:3"):
            assert words in watched.screen

    watch(past.records, SMALL, look)


def test_without_colours_where_they_are_not_wanted(past: PastCampaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def look(watched: Watched) -> None:
        colours = {
            colour.get_truecolor()
            for strip in watched.app.screen._compositor.render_strips()
            for segment in strip.apply_filter(watched.app._filters[0], watched.app.screen.background_colors[1])
            if segment.style is not None and (colour := segment.style.color) is not None
        }
        assert colours
        assert all(max(colour) - min(colour) <= 1 for colour in colours)  # greys

    watch(past.records, SMALL, look)


@pytest.mark.parametrize("width", [30, 60, 79, 100, 139, 199, 300])
def test_columns_fill_the_width_and_never_more(width: int) -> None:
    rows = [{"transformation": "rel_lig_ejm_31_lig_ejm_42_with_a_very_long_name_solvent", "leg": "solvent"}]
    columns = columns_for(width, rows)
    assert sum(column.width + 2 for column in columns) <= max(width, 4 + 12 + 9 + 6 + 8)
    keys = [column.key for column in columns]
    assert keys[0] == "transformation"
    assert ("next" in keys) is (width >= 79)
    assert ("error" in keys) is (width >= 140)


def test_long_names_keep_both_ends() -> None:
    assert shortened("lig_ejm_31_lig_ejm_42_solvent", 17) == "lig_ejm_…_solvent"
    assert shortened("short", 17) == "short"


def test_a_log_cannot_move_the_cursor() -> None:
    assert tame("50 %\r100 %\x1b[2Jdone\x07\n") == "50 %\n100 %\\x1b[2Jdone\\x07\n"


# ---------------------------------------------------------------------------------------------- sorting and filtering
@SIZES
def test_sorting_by_keys(past: PastCampaign, size: tuple[int, int]) -> None:
    async def sort(watched: Watched) -> None:
        network = list(watched.names)
        await watched.press("s", "S")
        assert watched.names == sorted(network, reverse=True)
        while watched.table.sorted_by != "estimate":
            await watched.press("s")
        assert watched.names[:2] == ["2-3", "3-4"]  # -3.25, 1.25; those without come last
        await watched.press("S")
        assert watched.names[:2] == ["3-4", "2-3"]
        assert watched.names[2:] == [name for name in network if name not in ("2-3", "3-4")]
        while watched.table.sorted_by is not None:
            await watched.press("s")
        assert watched.names == network
        await watched.press("1", "1")
        assert watched.names == sorted(network, reverse=True)
        assert "transformation▼" in watched.screen

    watch(past.records, size, sort)


def test_filtering_by_text_and_by_error(past: PastCampaign) -> None:
    async def narrow(watched: Watched) -> None:
        await watched.press("e")
        assert watched.names == ["0-1", "1-2"]
        await watched.press("slash", *"VALUEerror", "enter")
        assert watched.names == ["1-2"]
        assert "1 of 6 transformations, with “VALUEerror”, in error" in watched.screen
        await watched.press("e", "w")
        await watched.text_with("ligand_1_ligand_2_vacuum repeat 1: error")
        await watched.press("q", "slash", *"zzz")
        assert watched.names == []
        await watched.press("enter", "w", "l", "escape")
        assert len(watched.names) == 6

    watch(past.records, SMALL, narrow)


def test_the_selection_and_its_place_survive_sorting_and_filtering(past: PastCampaign) -> None:
    async def move(watched: Watched) -> None:
        await watched.press("down", "down", "1", "1")
        assert watched.names[watched.table.cursor_row] == "2-3"
        await watched.press("slash", *"3", "enter")
        assert watched.names[watched.table.cursor_row] == "2-3"
        await watched.press("escape")
        assert watched.names[watched.table.cursor_row] == "2-3"

    watch(past.records, SMALL, move)


# ----------------------------------------------------------------------------------------------------------- screens
@SIZES
def test_why_shows_what_the_command_prints(past: PastCampaign, size: tuple[int, int]) -> None:
    async def ask(watched: Watched) -> None:
        await watched.press("down", "enter")
        text = await watched.text_with("ligand_1_ligand_2_vacuum repeat 1: error", "ValueError: bad box")
        assert "xpm-alchem retry campaign.yaml ligand_1_ligand_2_vacuum:1" in text
        assert "why: ligand_1_ligand_2_vacuum" in watched.screen
        await watched.press("s", "p")  # keys of the other screen do nothing here
        await watched.press("q")
        assert "6 transformations" in watched.screen
        await watched.press("w")
        await watched.text_with("ligand_1_ligand_2_vacuum repeat 1: error")

    watch(past.records, size, ask)
    assert past.records.plan().strategy.mode == "partial"


def test_failures_and_help(past: PastCampaign) -> None:
    async def ask(watched: Watched) -> None:
        await watched.press("f")
        await watched.text_with("2 task(s) in error, 2 kinds of failure", "ValueError: bad box")
        await watched.press("escape", "question_mark")
        await watched.text_with("E error", "pause the strategy")

    watch(past.records, SMALL, ask)


def test_logs_grow_and_the_next_task_s_are_a_key_away(past: PastCampaign) -> None:
    printed = past.files(past.task(2, 3)).printed("stdout")
    printed.write_text("step 1\n")

    async def follow(watched: Watched) -> None:
        await watched.press("down", "down", "l")
        await watched.text_with("step 1")
        assert "logs of ligand_2_ligand_3_vacuum:3" in watched.screen  # the one at work comes first
        with open(printed, "a") as log:
            log.write("step 2\n")
        await watched.text_with("step 1", "step 2")
        await watched.press("n")
        await watched.text_with("nothing was printed yet")
        assert "logs of ligand_2_ligand_3_vacuum:2" in watched.screen

    watch(past.records, SMALL, follow)


def test_tasks_of_a_row_below(past: PastCampaign) -> None:
    async def ask(watched: Watched) -> None:
        await watched.press("t", "down", "down")
        assert "C repeat 1  complete, -3.000 kcal/mol" in watched.screen
        assert "R repeat 3  running" in watched.screen
        await watched.press("t")
        assert "repeat 1  complete" not in watched.screen

    watch(past.records, SMALL, ask)


# -------------------------------------------------------------------------------------------------------------- pause
def test_pausing_and_going_on_without_a_driver(past: PastCampaign) -> None:
    async def toggle(watched: Watched) -> None:
        await watched.press("p")
        await watched.until(lambda: "paused" in watched.said("message"))
        await watched.until(lambda: "uniform PAUSED" in watched.screen)
        assert past.records.plan().strategy.mode == "disabled"
        await watched.press("p")
        await watched.until(lambda: "goes on: mode full" in watched.said("message"))
        assert past.records.plan().strategy.mode == "full"

    with past.records.lock():
        plan = yaml.safe_load((past.records.path / "campaign.yaml").read_text())
        past.records.set_plan(yaml.safe_dump({**plan, "strategy": {"name": "uniform", "mode": "full"}}))
    watch(past.records, SMALL, toggle)


def test_pausing_asks_a_driver_that_runs(past: PastCampaign) -> None:
    async def pause(watched: Watched) -> None:
        await watched.until(lambda: f"pid {os.getpid()}" in watched.screen)
        await watched.press("p")
        await watched.until(lambda: "the driver takes it in within seconds" in watched.said("message"))

    with past.records.lock():  # as a driver has it
        watch(past.records, SMALL, pause)
    (request,), _ = past.records.requests(0)
    assert (request["request"], request["changes"]) == ("strategy", {"mode": "disabled"})


def test_what_was_paused_before_goes_on_as_the_file_says(past: PastCampaign) -> None:
    Campaign(past.records).set_network_strategy_mode("disabled")

    async def resume(watched: Watched) -> None:
        assert "PAUSED" in watched.screen
        await watched.press("p")
        await watched.until(lambda: "goes on: mode partial" in watched.said("message"))

    watch(past.records, SMALL, resume)


def test_without_a_strategy_there_is_nothing_to_pause(past: PastCampaign) -> None:
    Campaign(past.records).set_network_strategy(None)

    async def pause(watched: Watched) -> None:
        await watched.press("p")
        await watched.until(lambda: "there is no strategy to pause" in watched.said("message"))

    watch(past.records, SMALL, pause)


# --------------------------------------------------------------------------------------------------------------- live
@SIZES
def test_it_follows_the_journal_and_keeps_the_selection(past: PastCampaign, size: tuple[int, int]) -> None:
    async def follow(watched: Watched) -> None:
        await watched.press(*["down"] * 4, "6" if size == LARGE else "2")  # by tasks in error
        chosen = watched.names[watched.table.cursor_row]
        task = past.task(5)
        past.attempt(task, Outcome.COMPLETE)
        facts = {"estimate": 7.5, "seconds": 60.0, "attempts": 1}
        past.write({"event": "status", "task": task.task, "status": "complete", **facts})
        await watched.until(lambda: "7.500" in watched.screen)
        assert "4 complete" in watched.screen
        assert "ligand_5_ligand_6_vacuum:1  complete, 7.500 kcal/mol" in watched.screen
        past.status(past.task(4), "error", "OSError: disk full")
        await watched.until(lambda: "3 error" in watched.screen)
        assert watched.names[watched.table.cursor_row] == chosen
        past.summary(past.task(2, 3), units_total=3, units_done=2)  # nothing but the file of a task at work changes
        if size == LARGE:
            await watched.until(lambda: "repeat 3: unit 3/3" in watched.screen)

    watch(past.records, size, follow)


def test_it_goes_on_looking_from_another_screen(past: PastCampaign) -> None:
    async def follow(watched: Watched) -> None:
        await watched.press("f")
        await watched.text_with("2 task(s) in error")
        past.status(past.task(4), "error", "OSError: disk full")
        await watched.text_with("3 task(s) in error")
        await watched.press("q")
        await watched.until(lambda: "3 error" in watched.screen)

    watch(past.records, SMALL, follow)


def test_what_cannot_be_read_is_said_and_looked_at_again(past: PastCampaign) -> None:
    plan = past.records.path / "campaign.yaml"
    text = plan.read_text()

    async def follow(watched: Watched) -> None:
        plan.write_text("name: [")
        await watched.until(lambda: "not valid YAML" in watched.said("message"))
        plan.write_text(text.replace("name: past", "name: past\nbudget: {total: 5}"))
        await watched.until(lambda: "of 5" in watched.screen)
        assert not watched.said("message")

    watch(past.records, SMALL, follow)


def test_a_look_at_what_has_not_changed_puts_nothing_together(past: PastCampaign) -> None:
    watcher = Watcher(Campaign(past.records))
    assert watcher.look() is not None
    assert watcher.look() is None or watcher.look() is None  # times are made anew now and then
    past.status(past.task(4), "error", "OSError: disk full")
    assert watcher.look() is not None


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> PastCampaign:
    """Make a campaign of a thousand transformations, each with a result."""
    past = PastCampaign(tmp_path_factory.mktemp("large") / "c", list(combinations(range(46), 2))[:1000])
    events: list[dict[str, Any]] = []
    for number, record in enumerate(past.records.index.transformations):
        task = {"task": f"{record.id}-1", "transformation": record.id}
        events.append({"event": "created", "repeat": 1, "directory": f"jobs/t/{number}", **task})
        events.append({"event": "status", "status": "complete", "estimate": float(number), "seconds": 1.0, **task})
    past.write(*events)
    return past


@SIZES
@pytest.mark.slow
def test_a_thousand_transformations(large: PastCampaign, size: tuple[int, int]) -> None:
    async def go_through(watched: Watched) -> None:
        assert "1000 transformations" in watched.screen
        await watched.press("end", *["up"] * 3)
        table = watched.table
        assert table.cursor_row == 996
        chosen, top = table.selected, table.scroll_y
        assert top > 900
        first = next(iter(large.records.state().tasks))
        large.write({"event": "status", "task": first, "status": "complete", "estimate": float(-size[0])})
        await watched.until(lambda: watched.app.campaign_screen.picture.rows[0]["estimate"] == -size[0])
        assert (table.selected, table.cursor_row, table.scroll_y) == (chosen, 996, top)
        await watched.press("slash", *"44_", "enter")
        assert 1 < len(watched.names) < 100

    watch(large.records, size, go_through)


# --------------------------------------------------------------------------------------------------------- the command
def command(past: PastCampaign) -> list[str]:
    return [sys.executable, "-m", "xpm_alchem", "watch", str(past.records.path)]


def test_without_a_terminal_it_names_other_commands(past: PastCampaign) -> None:
    done = subprocess.run(command(past), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "`xpm-alchem show`" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_terminal(past: PastCampaign) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(command(past), stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def shows(word: bytes) -> bool:
        with suppress(OSError):  # nothing there yet, or it has ended
            seen.extend(os.read(ours, 1 << 16))
        return word in seen

    try:
        wait_for(lambda: shows(b"transformations"), what="the screen")
        os.write(ours, b"q")
        wait_for(lambda: shows(b"\x00") or process.poll() is not None, what="the end")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert process.returncode == 0


HOSTILE = ["c[1]ccc[/1]", "[@click=app.quit]x", "d\u202eop", "a\x1b[2Jb", "e\\[b]", "\x9b31mf"]


@SIZES
def test_names_are_no_markup_and_do_nothing_to_the_terminal(tmp_path: Path, size: tuple[int, int]) -> None:
    index = network_index([(HOSTILE[0], name) for name in HOSTILE[1:]], ("solvent",))
    more = {record.id: "error" for record in index.transformations}
    records = filled_campaign(tmp_path / "[a] b", index, scattered(index, 2), more=more)
    for task in records.state().tasks.values():
        TaskDirectory(records.task_path(task)).printed("stdout").write_text("[/b]\x1b[2Jsaid")
    longest = max(len(printable(name)) for name in HOSTILE)

    async def scenario(watched: Watched) -> None:
        seen = set()
        for row in range(len(index.transformations)):
            title = watched.app.campaign_screen.query_one("#tasks", Static)._border_title
            if size == LARGE:
                assert str(title) == f"tasks of {printable(index.transformations[row].name)}"
            screen = watched.screen
            assert printable(screen, keep="\n") == screen
            seen |= {name for name in HOSTILE if printable(name) in screen}
            for key, words in (("w", ["repeat 3: error"]), ("l", ["[/b]\\x1b[2Jsaid"])):
                await watched.press(key)
                await watched.text_with(*words)
                assert printable(watched.screen, keep="\n") == watched.screen
                await watched.press("escape")
            await watched.press("down")
        await watched.press("slash", "left_square_bracket", "slash")
        assert printable(watched.screen, keep="\n") == watched.screen
        assert seen == set(HOSTILE) or size[0] < 4 * longest

    watch(records, size, scenario)


def test_what_was_being_read_when_a_screen_is_left_ends_nothing() -> None:
    """The text comes when the screen has no widgets any more."""
    ready = asyncio.Event()

    async def read() -> str:
        await ready.wait()
        return "late"

    async def leave() -> None:
        async with App().run_test() as pilot:
            screen = TextScreen([("a title", read)])
            await pilot.app.push_screen(screen)
            shown = asyncio.ensure_future(screen._show())
            await pilot.pause()
            await screen.remove_children()
            ready.set()
            await shown
            assert screen.text == "late"

    asyncio.run(leave())
