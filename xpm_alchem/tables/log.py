"""What a task printed, as lines."""

from __future__ import annotations

from rich.console import Group, RenderableType

from xpm_alchem.base.values import printable
from xpm_alchem.execution.task_logs import LogFile, tail
from xpm_alchem.tables.console import told
from xpm_alchem.views.overview import View

_LINES = 40


def logs_table(view: View) -> RenderableType:
    """Render `logs_view`: the last lines of every log that holds any."""
    logs = [log for log in map(LogFile.from_view, view["logs"]) if log.size]
    if not logs:
        return told(f"{view['task']}: attempt {view['attempt']} has printed nothing")
    parts: list[RenderableType] = []
    for log in logs:
        lines = b"".join(tail(log.path, _LINES)).decode(errors="backslashreplace").splitlines()
        parts.append(told(log.title, *(printable(line.expandtabs()) for line in lines)))
    return Group(*parts)
