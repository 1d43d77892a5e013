"""The pages of alchemiscale's user guide as scripts, run as they are but for one import, while a driver computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from scoped import ScopedWorkspace

from xpm_alchem import gufe_seam

pytestmark = pytest.mark.slow
URL = "https://api.alchemiscale.example"
PAGES = sorted(path.stem for path in (Path(__file__).parent / "guide").glob("*.py"))
_OURS = {  # without stratocaster, its strategies are ours
    "from stratocaster.strategies import ConnectivityStrategy": (
        "from xpm_alchem.strategies.connectivity import ConnectivityStrategy"
    )
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page: str, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ScopedWorkspace(tmp_path)
    here.path.mkdir()
    settings = own_home / ".config" / "experimaestro" / "settings.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(yaml.safe_dump({"xpm_alchem": {"alchemiscale": {URL: str(here.path)}}}))
    monkeypatch.setenv("ALCHEMISCALE_URL", URL)
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parent / "guide" / f"{page}.py").read_text()
    script, count = re.subn("^from alchemiscale import", "from xpm_alchem.alchemiscale import", text, flags=re.M)
    assert count == 1
    for theirs, ours in _OURS.items() if gufe_seam.IS_GUFE_0_4 else ():
        script = script.replace(theirs, ours)
    with here.driver():
        exec(compile(script, f"{page}.py", "exec"), {"__name__": page})


def test_all_pages_are_there() -> None:
    assert PAGES == ["getting_started", "handling_errors", "strategy_automation"]
