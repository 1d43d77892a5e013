"""A campaign in a notebook: what is driven shows itself in one place, and an interrupt is a way to leave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import patience
import pytest
from campaigns import SmallCampaign, held
from places import NO_SKIPS

if not NO_SKIPS:
    pytest.importorskip("ipykernel", reason="a notebook's kernel is not installed")
from kernels import Kernel

EDGES = [(0, 1), (1, 2)]


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(tmp_path) as started:
        yield started


def opened(campaign: SmallCampaign) -> str:
    return f"from xpm_alchem import Campaign\nc = Campaign.create({str(campaign.file)!r})\n"


def test_a_run_shows_itself_in_one_place(kernel: Kernel, tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    cell = kernel.run(opened(campaign) + "code = c.run()\ncode")
    assert cell.texts[-1] == "0" and not cell.printed
    (progress,) = cell.shown[:-1]
    assert progress["text/plain"].startswith("small: 2 complete (satisfied")
    assert "complete, " in progress["text/html"] and "<b>small: 2 complete" in progress["text/html"]
    assert "<table>" in kernel.run("c.results()").shown[0]["text/html"]
    assert "ligand_0_ligand_1_vacuum" in kernel.run("c").shown[0]["text/html"]
    assert "ligand_0_ligand_1_vacuum" in kernel.run("print(c.show())").printed


def test_an_error_is_a_sentence_and_the_line_that_led_to_it(kernel: Kernel, tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    cell = kernel.begin(opened(campaign) + "\nc.why('ligand_0_ligand_1_vacuum:7')").end()
    sentence, line = cell.error.split("\n")
    assert sentence.startswith("InputError: 'ligand_0_ligand_1_vacuum' has no repeat 7")
    assert line == "  (line 4: c.why('ligand_0_ligand_1_vacuum:7'))"


def test_a_workspace_shows_itself_too(kernel: Kernel, tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    code = "from xpm_alchem import Workspace\nw = Workspace(c.path.parent.parent)\nw.run()"
    cell = kernel.run(opened(campaign) + code)
    assert cell.texts[-1] == "0" and not cell.printed
    assert "1 campaign(s) (satisfied" in cell.texts[0]
    assert "small" in kernel.run("w").shown[0]["text/html"]


def test_an_interrupt_leaves_and_another_run_comes_back(kernel: Kernel, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script=held(until=go_on))
    cell = kernel.begin(opened(campaign) + "c.run()")
    campaign.wait_until_at_work(2)
    kernel.interrupt()
    cell.end()
    assert not cell.error and cell.texts[-1] == "3"
    assert "not finished: what runs goes on" in cell.texts[0]
    assert len(campaign.at_work()) == 2
    go_on.touch()
    assert kernel.run("c.run()").texts[-1] == "0"
    assert all(len(attempts) == 1 for attempts in campaign.attempts().values())


def test_an_interrupt_before_anything_is_driven_is_no_traceback(kernel: Kernel, tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES)
    code = """
    import signal
    from xpm_alchem.client.running import RunMethods
    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)
    RunMethods._driver = interrupted
    c.run()
    """
    cell = kernel.run(opened(campaign) + "\n".join(line[4:] for line in code.split("\n")))
    assert cell.texts[-1] == "3"


def test_a_driver_in_the_background_outlives_the_kernel(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script=held(until=go_on))
    with Kernel(tmp_path) as kernel:
        cell = kernel.run(opened(campaign) + "c.run(detach=True)")
        assert cell.texts == ["3"] and cell.printed.startswith("detached: pid ")
        campaign.wait_until_at_work(2)
        waiting = kernel.begin("c.wait()")
        while not waiting.shown:
            waiting.look()
        kernel.interrupt()
        assert waiting.end().texts[-1] == "3" and not waiting.error
        assert kernel.run("c.wait(timeout=0)").texts[-1] == "3"
        go_on.touch()
        assert kernel.run("c.wait()").texts[-1] == "0"
    assert campaign.json("status")["tasks"]["complete"] == 2


def test_the_kernels_end_leaves_the_background_alone(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    campaign = SmallCampaign(tmp_path / "c", edges=EDGES, script=held(until=go_on))
    with Kernel(tmp_path) as kernel:
        kernel.run(opened(campaign) + "c.run(detach=True)")
        campaign.wait_until_at_work(2)
    assert campaign.records.holder() is not None
    go_on.touch()
    patience.wait_for(lambda: campaign.records.holder() is None, what="the driver's end")
    assert campaign.json("status")["tasks"]["complete"] == 2
