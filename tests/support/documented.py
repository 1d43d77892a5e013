"""The scripts that the documentation shows."""

from __future__ import annotations

import re

from places import ROOT


def scripts(page: str, section: str, language: str = "bash") -> list[str]:
    """Return the scripts of a section of a page."""
    text = (ROOT / "docs" / page).read_text()
    body = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
