"""How a campaign stands, in a few words. Pure."""

from __future__ import annotations

import attrs

from xpm_alchem.report.material import Material


@attrs.frozen
class Standing:
    """One word for it, and a sentence that says more."""

    word: str
    sentence: str

    @classmethod
    def of(cls, material: Material) -> Standing:
        """Say how a campaign stands; the words are those of the exit codes of `run` where it is over."""
        tasks, strategy, budget = material.status["tasks"], material.status["strategy"], material.budget
        driver, waiting = material.status["driver"], budget["waiting"]
        if driver is not None:
            return cls("running", f"driven on host {driver['host']}")
        if strategy["status"] == "error":
            return cls("in error", f"the strategy raised {strategy['exception']}")
        if tasks["running"]:
            return cls("running", "attempts are at work, and nobody drives: `xpm-alchem run` goes on")
        if material.status["queued"]:
            return cls("running", "attempts wait in a queue, and nobody drives: `xpm-alchem run` goes on")
        if material.status["gone"]:
            return cls("not finished", "attempts have ended, and nobody drives: `xpm-alchem run` goes on")
        if waiting:
            if budget["state"] == "exhausted":
                return cls("budget used up", budget["sentence"])
            return cls("not finished", "tasks wait, and nobody drives: `xpm-alchem run` goes on")
        if not any(tasks.values()):
            return cls("not begun", "nothing has been computed yet")
        if tasks["error"]:
            return cls("in error", f"{tasks['error']} task(s) in error; the section on failures has them")
        if strategy["mode"] != "disabled" and strategy["status"] == "awake":
            return cls("not finished", "the strategy has not said that it is satisfied: `xpm-alchem run` goes on")
        if material.status["budget"]["closed"] and tasks["waiting"]:
            return cls("budget used up", "transformations are closed: their results cost too much")
        return cls("satisfied", "the strategy wants nothing more")
