"""`run --detach` tells what became of the driver: its end is the campaign's only if it drove."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import patience
import pytest
from campaigns import SmallCampaign, held
from places import python_path

pytestmark = pytest.mark.slow
EDGES = [(0, 1)]


def detach_with(campaign: SmallCampaign, tmp_path: Path, code: str) -> tuple[int, str]:
    """Detach where every background driver first runs some code; return the command's exit code and what it says."""
    place = tmp_path / "site"
    place.mkdir()
    text = "import sys\nif 'xpm_alchem.cli.background' in sys.orig_argv:\n" + textwrap.indent(
        textwrap.dedent(code), "    "
    )
    (place / "sitecustomize.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": python_path(place)}
    done = patience.run(campaign.command("run", campaign.file, "--detach"), cwd=campaign.path, env=environment)
    assert "Traceback" not in done.stderr.partition("Error:")[0]
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os._exit(0)", "did not start: it ended at once, with exit code 0, and printed nothing"),
        ("import os; os._exit(1)", "did not start: it ended at once, with exit code 1, and printed nothing"),
        ("import os; os._exit(4)", "did not start: it ended at once, with exit code 4"),
        ("import os; os.write(2, b'no such library'); os._exit(1)", "did not start: no such library"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "did not start: it was killed by signal 9"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "did not start: it was killed by signal 11"),
        ("sys.modules['experimaestro'] = None", "ModuleNotFoundError: import of experimaestro halted"),
    ],
)
def test_a_driver_that_ends_before_it_drives_has_not_started(tmp_path: Path, code: str, words: str) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    ended, said = detach_with(campaign, tmp_path, code)
    assert ended == 2
    assert words in " ".join(said.split())


def test_a_driver_that_finds_another_at_work_has_not_started(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script=held(until=go_on))
    driver = campaign.start("--quiet")
    campaign.wait_until_at_work()
    done = campaign.run("--detach")
    assert done.returncode == 2
    assert "is driven by another process" in done.stderr
    go_on.touch()
    patience.communicate(driver)
    assert driver.returncode == 0


def test_a_driver_that_drives_goes_on_alone(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script=held(until=go_on))
    done = campaign.run("--detach")
    assert done.returncode == 3 and "detached: " in done.stdout, done.stderr
    campaign.wait_until_at_work()
    go_on.touch()
    patience.wait_for(lambda: campaign.records.holder() is None, what="the driver's end")
    assert campaign.run("--once").returncode == 0


def test_the_end_of_a_driver_that_had_nothing_to_do_is_the_campaigns(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    assert campaign.run().returncode == 0
    done = campaign.run("--detach")
    assert done.returncode in (0, 3), done.stderr  # 3: a machine so slow that it still drives
    assert "ended already" in done.stdout or "detached: " in done.stdout


def test_a_driver_that_takes_its_time_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    script = """
        import sys
        from xpm_alchem.cli import main
        from xpm_alchem.client import background
        background.SECONDS = 0.0
        main(sys.argv[1:])
        """
    command = [*campaign.command()[:1], "-c", textwrap.dedent(script), "run", str(campaign.file), "--detach"]
    done = patience.run(command, cwd=campaign.path)
    assert done.returncode == 3, done.stderr
    assert "which does not drive yet" in done.stdout
    patience.wait_for(
        lambda: campaign.json("status")["tasks"]["complete"] == 1 and campaign.records.holder() is None,
        what="the end of a driver that was slow",
        pause=1,
    )
