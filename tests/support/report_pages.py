"""Reads a report: its sections, figures and tables, and what it would load."""

from __future__ import annotations

import json
from functools import cached_property
from html.parser import HTMLParser
from typing import Any

import attrs

_LOADS = {"src", "href", "srcset", "data", "action", "poster", "background", "formaction", "xlink:href"}


@attrs.define(slots=False)
class ReportPage(HTMLParser):
    """A report, taken apart.

    Attributes
    ----------
    figures
        Plotly's data and layout, by what they show.
    links
        What attributes name that load or lead elsewhere.
    tags
        How often there is an element of each name.
    """

    _parts: dict[str, list[str]] = attrs.field(factory=dict)
    figures: dict[str, Any] = attrs.field(factory=dict)
    links: list[str] = attrs.field(factory=list)
    tags: dict[str, int] = attrs.field(factory=dict)
    styles: str = ""
    scripts: list[str] = attrs.field(factory=list)
    policy: str = ""
    _section: str = ""
    _open: list[str] = attrs.field(factory=list)
    _figure: str = ""
    _is_data: bool = False

    def __attrs_post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, text: str) -> ReportPage:
        """Read a report."""
        page = cls()
        page.feed(text)
        page.close()
        return page

    @cached_property
    def text(self) -> dict[str, str]:
        """What a reader sees, by section; '' is what stands before the first."""
        return {section: " ".join(" ".join(parts).split()) for section, parts in self._parts.items()}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.links += [value or "" for name, value in attributes if name in _LOADS]
        self.styles += found.get("style") or ""
        if tag == "section":
            self._section = found["id"] or ""
        if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""
        if found.get("class") == "plot":
            self._figure = found["aria-label"] or ""
        if tag in ("script", "style"):
            self._open.append(tag)
            self._is_data = found.get("type") == "application/json"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if not self._open:
            self._parts.setdefault(self._section, []).append(data)
        elif self._open[-1] == "style":
            self.styles += data
        elif self._is_data:
            self.figures[self._figure] = json.loads(data)
        else:
            self.scripts.append(data)
