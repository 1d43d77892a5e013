"""Whatever happens to what a driver prints to, it drives on and notes it once in driver.log."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import forked
import pytest
from campaigns import SmallCampaign
from patience import end_of, run

pytestmark = pytest.mark.slow
EDGES = [(0, 1), (1, 2)]
STEP = "simulate 0 step 1"


def held_campaign(path: Path, **options: Any) -> tuple[SmallCampaign, Path]:
    """Return a campaign whose attempts wait for a file, and the file."""
    go_on = path / "go on"
    return SmallCampaign(path / "c", edges=EDGES, script={STEP: {"do": "wait", "file": str(go_on)}}, **options), go_on


def drive(campaign: SmallCampaign, stream: int, **options: Any) -> subprocess.Popen[str]:
    """Start a driver that prints to a file descriptor."""
    return forked.Popen(
        campaign.command("run", campaign.file),
        cwd=campaign.path,
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=stream,
        **options,
    )


def assert_driven(campaign: SmallCampaign, code: int, notes: int = 2) -> None:
    """Check that a campaign was driven to its end, and that it was noted how the driver lost each of its streams."""
    assert (code, campaign.json("status")["tasks"]["complete"]) == (0, len(EDGES))
    log = (campaign.records.path / "driver.log").read_text()
    assert log.count("the driver goes on without it") == notes, log


def test_a_terminal_that_is_closed_under_a_driver_that_ignores_hangups(tmp_path: Path) -> None:
    campaign, go_on = held_campaign(tmp_path)
    master, terminal = pty.openpty()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; a driver inherits it
    try:
        command = campaign.command("run", campaign.file)
        driver = subprocess.Popen(
            command, cwd=campaign.path, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    os.close(terminal)
    campaign.wait_until_at_work(len(EDGES))
    os.close(master)
    go_on.touch()
    assert_driven(campaign, end_of(driver, 200), notes=1)  # nothing was wrong with stderr: nothing was written there


def test_a_full_disk_under_stdout_and_stderr(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    with open("/dev/full", "wb") as full:
        driver = drive(campaign, full.fileno())
    assert_driven(campaign, end_of(driver, 200), notes=1)


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    campaign, go_on = held_campaign(tmp_path)
    read, write = os.pipe()
    driver = drive(campaign, write)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    campaign.wait_until_at_work(len(EDGES))
    go_on.touch()
    assert_driven(campaign, end_of(driver, 200), notes=1)


def test_a_reader_that_does_not_read_any_more(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"x" * 4000)
    driver = drive(campaign, write)
    os.close(write)
    assert_driven(campaign, end_of(driver, 200), notes=1)
    os.close(read)


def test_an_encoding_that_lacks_a_letter_of_a_path(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "Zürich · 東京", edges=EDGES)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = run(campaign.command("run", campaign.file), cwd=campaign.path, env=environment)
    assert "Zurich . ??" in done.stdout, done.stderr
    assert_driven(campaign, done.returncode, notes=0)


def test_a_closed_stdout(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    command = ["sh", "-c", '"$@" >&- 2>&-', "sh", *campaign.command("run", campaign.file)]
    assert_driven(campaign, run(command, cwd=campaign.path).returncode, notes=0)


def test_a_display_of_the_users_that_fails(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    script = """
        import sys
        from xpm_alchem.client import Campaign

        def observe(event):
            sys.stdout.write(event.no_such_thing)

        sys.exit(Campaign.create(sys.argv[1]).run(observe=observe))
        """
    done = run([sys.executable, "-c", textwrap.dedent(script), campaign.file])
    assert_driven(campaign, done.returncode, notes=0)
    assert (campaign.records.path / "driver.log").read_text().count("what shows events failed (AttributeError") == 1
