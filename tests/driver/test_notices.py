"""`notify` in campaign.yaml: what is accepted, whom it tells, how often, and that nothing holds up the driver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest
from campaigns import SmallCampaign
from histories import PastCampaign
from patience import wait_for

from xpm_alchem.base import safe_yaml
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.driver.messenger import Became, Failure, deliver, post, run_command
from xpm_alchem.driver.notices import Notices
from xpm_alchem.plan.budget import Budget
from xpm_alchem.plan.campaign_yaml import Plan, parse_plan
from xpm_alchem.plan.notify import Notify

HEAD = "name: c\nnetwork: network.json\n"
MESSAGE = {"campaign": "c", "event": "error", "sentence": "c: it broke", "path": "/somewhere"}


# ------------------------------------------------------------------------------------------------------------ the plan
def parsed(section: str) -> Notify:
    return parse_plan(f"{HEAD}notify: {section}\n", Path("campaign.yaml")).notify


def test_a_plan_says_whom_to_tell_of_what() -> None:
    assert parse_plan(HEAD, Path("campaign.yaml")).notify == Notify()
    assert parsed("null") == Notify()
    assert parsed("{command: [mail, me], on: [error]}") == Notify(("mail", "me"), None, ("error",))
    assert parsed("""{command: 'mail -s "two words" me', timeout: 1min}""").command == ("mail", "-s", "two words", "me")
    assert parsed("{url: 'https://hooks.example.org:8443/a?b=c'}").on == ("satisfied", "error", "budget")
    assert parsed("{command: [~/bin/tell], on: budget, timeout: 1min}") == Notify(
        ("~/bin/tell",), None, ("budget",), 60
    )


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("mail", "notify: 'mail' is not a mapping"),
        ("{on: [error]}", "notify: it tells nobody"),
        ("{}", "it tells nobody"),
        ("{comand: [mail]}", "unknown key 'comand'; did you mean 'command'?"),
        ("{command: [mail], on: [satisfid]}", "there is no event 'satisfid'; did you mean 'satisfied'?"),
        ("{command: [mail], on: []}", "notify.on: [] is not a list of"),
        ("{command: []}", "notify.command: [] is no command"),
        ("{command: [mail, 7]}", "is no command"),
        ("{command: 'mail \"me'}", "cannot be split into words (No closing quotation)"),
        ("{command: ./tell.sh}", "give './tell.sh' with its whole path"),
        ("{url: 'file:///etc/passwd'}", "notify.url: 'file:///etc/passwd' is no http(s) address"),
        ("{url: 'ftp://h/x'}", "is no http(s) address"),
        ("{url: 'https://'}", "is no http(s) address"),
        ("{url: 'http://h:99999/'}", "is no http(s) address"),
        ('{url: "http://h/\\r\\nX: y"}', "is no http(s) address"),
        ("{url: 'https://me:secret@h/'}", "a name or password before the host cannot be used"),
        ("{command: [mail], timeout: 2h}", "notify.timeout: '2h' is not more than nothing and at most 1 h"),
    ],
)
def test_what_would_tell_nobody_or_do_harm_is_refused(section: str, words: str) -> None:
    with pytest.raises(CampaignError) as raised:
        parsed(section)
    assert words in str(raised.value)
    assert "campaign.yaml: notify" in str(raised.value)


def test_a_key_on_without_quotes_is_what_it_says() -> None:
    assert safe_yaml.load("on: [error]") == {True: ["error"]}  # YAML 1.1
    assert parsed("\n  command: [mail]\n  on: [error]").on == ("error",)


# -------------------------------------------------------------------------------------------------------- the messenger
def test_a_command_gets_the_sentence_and_the_variables(tmp_path: Path) -> None:
    script = f"cat > {tmp_path}/said; env > {tmp_path}/variables"
    assert run_command(["sh", "-c", script], MESSAGE, 20) is None
    assert (tmp_path / "said").read_text() == "c: it broke\n"
    variables = dict(line.partition("=")[::2] for line in (tmp_path / "variables").read_text().splitlines())
    assert {f"XPM_ALCHEM_{key.upper()}": value for key, value in MESSAGE.items()}.items() <= variables.items()


def test_what_became_of_a_command_is_a_sentence(tmp_path: Path) -> None:
    said = "echo one; echo two >&2; exit 3"
    assert run_command(["sh", "-c", said], MESSAGE, 20) == Failure("sh ended with exit code 3 (two)")
    missing = Failure("no-such-program cannot be run (No such file or directory)")
    assert run_command(["no-such-program"], MESSAGE, 20) == missing
    child = tmp_path / "child"
    hangs = f"sleep 600 & echo $! > {child}; sleep 600"
    assert run_command(["sh", "-c", hangs], MESSAGE, 1.0) == Failure("sh was killed after 1 s")
    wait_for(lambda: not is_alive(int(child.read_text())), what="the end of its child")


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class Answers(BaseHTTPRequestHandler):
    """A server that keeps what is posted."""

    posted: list[dict[str, Any]]
    code = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append({"type": self.headers["Content-Type"], "to": self.path, **json.loads(body)})
        self.send_response(self.code)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def server(code: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    handler = type("Handler", (Answers,), {"posted": [], "code": code})
    with HTTPServer(("127.0.0.1", 0), handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}/hook", handler.posted
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_a_post_is_a_small_json() -> None:
    with server() as (url, posted):
        assert post(url, MESSAGE, 20) is None
    assert posted == [{"type": "application/json", "to": "/hook", **MESSAGE, "text": "c: it broke"}]


def test_what_became_of_a_post_is_a_sentence() -> None:
    with server(code=500) as (url, _):
        assert post(url, MESSAGE, 20) == Failure("the address answered 500 Internal Server Error")
    with server(code=302) as (url, posted):
        assert post(url, MESSAGE, 20) == Failure("the address answered 302 Found", may_pass=False)
        assert [one["to"] for one in posted] == ["/hook"]
    assert post(url, MESSAGE, 20) == Failure("the address cannot be reached ([Errno 111] Connection refused)")


def test_what_did_not_arrive_is_tried_again_by_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told, tries = tmp_path / "told", tmp_path / "tries"
    fails_twice = f"echo . >> {tries}; [ $(wc -l < {tries}) -gt 2 ] && cat >> {told}"
    with server() as (url, posted):
        order = {"message": MESSAGE, "timeout": 20, "command": ["sh", "-c", fails_twice], "url": url}
        assert deliver(order) is Became.TRIED_AGAIN
        wait_for(told.exists, what="the third try")
    assert told.read_text() == "c: it broke\n"
    assert len(posted) == 1  # what arrived is not told again
    wait_for(lambda: "again in 5 min" in capfd.readouterr().out, what="what the second try said")


def test_what_never_arrives_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    order = {"message": MESSAGE, "timeout": 20, "command": ["sh", "-c", "exit 3"], "url": None}
    assert deliver({**order, "tried": 3}) is Became.GIVEN_UP
    assert "sh ended with exit code 3 (no message); given up" in capsys.readouterr().out
    with server(code=404) as (url, _):
        assert deliver({**order, "command": [], "url": url}) is Became.GIVEN_UP
    assert "the address answered 404 Not Found\n" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------- what is told, how often
@attrs.define
class Teller:
    """A campaign whose notices go into a file."""

    past: PastCampaign
    file: Path
    plan: Plan
    observed: list[str]

    @classmethod
    def at(cls, path: Path, **notify: Any) -> Teller:
        past = PastCampaign(path / "c", [(0, 1), (1, 2)])
        command = ("sh", "-c", f'printf "%s " "$XPM_ALCHEM_EVENT" >> {path}/told; cat >> {path}/told')
        plan = attrs.evolve(past.records.plan(), notify=Notify(**{"command": command, **notify}))
        return cls(past, path / "told", plan, [])

    def notices(self) -> Notices:
        """Return those of another driver, which knows what the disk knows."""
        records = CampaignRecords.open(self.past.records.path)
        self.past.records = records
        return Notices(records, lambda event: self.observed.append(event.what))

    def told(self, count: int) -> list[str]:
        """Return what was told, which is as much as this."""
        wait_for(lambda: self.log.count("\n") == count, what=f"notice {count}")
        return self.file.read_text().splitlines() if self.file.exists() else []

    @property
    def log(self) -> str:
        path = self.past.records.path / "notify.log"
        return path.read_text() if path.exists() else ""


def test_satisfied_is_told_once_until_there_are_more_results(tmp_path: Path) -> None:
    teller = Teller.at(tmp_path)
    teller.past.status(teller.past.task(), "complete")
    for _ in range(3):  # three drivers find the same
        notices = teller.notices()
        with teller.past.records.lock():
            notices.satisfied(teller.plan)
            notices.finish()
    assert teller.told(1) == ["satisfied past: satisfied with 1 result(s); 0 spent"]
    teller.past.status(teller.past.task(repeat=2), "complete")
    notices = teller.notices()
    with teller.past.records.lock():
        notices.satisfied(teller.plan)
    assert teller.told(2)[1] == "satisfied past: satisfied with 2 result(s); 0 spent"
    notices.finish()
    assert [what.removeprefix("being ") for what in teller.observed] == [
        "notified: satisfied with 1 result(s); 0 spent",
        "notified: satisfied with 2 result(s); 0 spent",
    ]


def test_an_error_is_told_when_it_comes_and_when_nothing_else_is_left(tmp_path: Path) -> None:
    teller = Teller.at(tmp_path)
    first, second = teller.past.task(0), teller.past.task(1)

    def look() -> None:
        notices = teller.notices()
        with teller.past.records.lock():
            notices.look(teller.plan, None)

    look()
    teller.past.status(first, "error", "RuntimeError: no GPU")
    look()
    teller.past.status(second, "error", "RuntimeError: no GPU either")
    look()
    assert teller.told(1) == [
        "error past: ligand_0_ligand_1_vacuum:1 is in error: RuntimeError: no GPU; the rest goes on"
    ]
    for _ in range(2):
        notices = teller.notices()
        with teller.past.records.lock():
            notices.in_error(teller.plan, None)
    (_, ended) = teller.told(2)
    assert ended.startswith("error past: ended: 2 task(s) are in error; `xpm-alchem failures ")
    for task in (first, second):
        teller.past.status(task, "waiting")
    look()  # nothing is in error: the next one is told again
    teller.past.status(first, "error", "OSError: disk full")
    look()
    assert teller.told(3)[2].startswith("error past: ligand_0_ligand_1_vacuum:1 is in error: OSError: disk full")


def test_a_strategy_that_raised_is_in_error(tmp_path: Path) -> None:
    teller = Teller.at(tmp_path)
    notices = teller.notices()
    with teller.past.records.lock():
        notices.in_error(teller.plan, "ValueError: no weights\x1b[2J")
        notices.look(teller.plan, None)
    assert teller.told(1)[0].startswith("error past: ended: the strategy raised ValueError: no weights\\x1b[2J; ")


def test_a_budget_is_told_again_when_it_is_another(tmp_path: Path) -> None:
    teller = Teller.at(tmp_path)
    notices = teller.notices()
    with teller.past.records.lock():
        for total in (5.0, 5.0, 8.0):
            notices.used_up(attrs.evolve(teller.plan, budget=Budget(total=total)))
    assert len(teller.told(2)) == 2


def test_only_what_was_asked_for_is_told(tmp_path: Path) -> None:
    teller = Teller.at(tmp_path, on=("budget",))
    notices = teller.notices()
    teller.past.status(teller.past.task(), "error", "x")
    with teller.past.records.lock():
        notices.satisfied(teller.plan)
        notices.in_error(teller.plan, None)
        notices.look(teller.plan, None)
        notices.used_up(attrs.evolve(teller.plan, notify=Notify()))  # the section was taken away
        assert teller.past.records.state().notified == {}
        notices.used_up(teller.plan)
    assert teller.told(1) == ["budget past: budget used up; 0 spent"]


def test_an_address_and_a_command_are_both_told_whatever_becomes_of_the_other(tmp_path: Path) -> None:
    with server() as (url, posted):
        teller = Teller.at(tmp_path, command=("no-such-program",), url=url)
        notices = teller.notices()
        with teller.past.records.lock():
            notices.used_up(teller.plan)
        teller.told(1 + 4)
    assert [(one["event"], one["campaign"]) for one in posted] == [("budget", "past")]
    assert "budget: no-such-program cannot be run" in teller.log
    assert "budget: posted" in teller.log


# ---------------------------------------------------------------------------------------------------------- end to end
@pytest.mark.slow
def test_a_campaign_tells_how_it_ended_once(tmp_path: Path) -> None:
    told = tmp_path / "told"
    notify = {"command": ["sh", "-c", f"cat >> {told}"]}
    script = {"simulate 0": {"do": "raise", "times": 1}}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], script=script, plan={"notify": notify, "max_retries": 0})
    log = campaign.path / "workspace" / "campaigns" / "small" / "notify.log"
    assert campaign.run().returncode == 1
    wait_for(lambda: log.read_text().count("\n") == 1, what="the notice")
    assert campaign.call("retry", campaign.file, "--all").returncode == 0
    done = campaign.run()
    assert done.returncode == 0, done.stdout
    assert "notified: satisfied with 1 result(s)" in done.stdout
    assert campaign.run().returncode == 0
    wait_for(lambda: log.read_text().count("\n") == 2, what="the second notice")
    ended, satisfied = told.read_text().splitlines()
    assert ended.startswith("small: ended: 1 task(s) are in error")
    assert satisfied.startswith("small: satisfied with 1 result(s)")


@pytest.mark.slow
def test_a_command_that_hangs_holds_up_nothing(tmp_path: Path) -> None:
    go = tmp_path / "go"
    notify = {"command": ["sh", "-c", f"while [ ! -e {go} ]; do sleep 0.1; done"], "timeout": "10min"}
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)], plan={"notify": notify})
    done = campaign.run("--once")
    while done.returncode == 3:  # not finished
        done = campaign.run("--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "being notified: satisfied with 1 result(s)" in done.stdout
    log = campaign.records.path / "notify.log"
    assert log.read_text() == ""  # `run` has ended, and the command has not
    go.touch()
    wait_for(lambda: "satisfied: the command was run" in log.read_text(), what="its end")
