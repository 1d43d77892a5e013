"""One driver for all campaigns of a workspace: they share slots by their networks' weights, one process, one squeue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from experimaestro.settings import WorkspaceSettings

from xpm_alchem.base.errors import FormatError, WorkspaceError
from xpm_alchem.base.files import make_directories, read_record, remove, write_record
from xpm_alchem.base.passing import patiently
from xpm_alchem.base.streams import wait_at_most
from xpm_alchem.campaign.holder import Holder
from xpm_alchem.campaign.lock import CampaignLock
from xpm_alchem.campaign.records import CampaignRecords, list_campaigns
from xpm_alchem.costs.shares import Shares
from xpm_alchem.driver.harvest import DriverEvent
from xpm_alchem.driver.interrupts import Interrupts
from xpm_alchem.driver.log import Teller
from xpm_alchem.driver.loop import BEAT_SECONDS
from xpm_alchem.driver.member import Member
from xpm_alchem.driver.steps import ExitCode
from xpm_alchem.driver.submission import Session, quiet_experimaestro
from xpm_alchem.driver.workspace_budget import WorkspaceBudget
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.plan.budget import Budget

_SHARES, _VERSION = "xpm-alchem shares", 1
_EXPERIMENT = "_workspace"  # no campaign has this name
_TICK_SECONDS = 1.0
_LOOK_SECONDS = 10.0  # between two looks which campaigns there are
_BLIND_SECONDS = 120.0  # for which it is waited until a workspace can be read again where nothing else is to be done
_KEEP_SECONDS = 60.0  # between two notes of what each had of the slots
_SETTLE_SECONDS = 60.0
_TURNS_A_SECOND = 4.0  # of all campaigns that are driven, and looks a second at all others


class WorkspaceDriver:
    """Drives every active campaign of a workspace, those too that are made while it runs.

    Parameters
    ----------
    workspace
        experimaestro's settings of the workspace.
    launcher_of
        Returns the launcher of a campaign's plan.
    budget
        Of all campaigns together.
    observe
        Called in the main thread with every event and the name of its campaign, '' for one of the driver's own.
    begun
        Called once the workspace is this process's to drive.
    """

    def __init__(
        self,
        workspace: WorkspaceSettings,
        launcher_of: Callable[[CampaignRecords], AttemptLauncher],
        budget: Budget,
        *,
        observe: Callable[[str, DriverEvent], None] = lambda name, event: None,
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        self._workspace, self._root = workspace, Path(workspace.path)
        self._launcher_of, self._observe, self._begun = launcher_of, observe, begun
        self._budget = WorkspaceBudget(budget, self._root)
        self._ended = threading.Event()
        self._interrupts = Interrupts()
        self._members: dict[str, Member] = {}
        self._shares: dict[str, Shares] = {}
        self._session: Session | None = None
        self._held = ExitStack()
        self._tell = Teller(lambda event: observe("", event))
        self._blind_since: float | None = None  # since when it is not known which campaigns there are
        self._looked = self._kept = self._passed = self._beaten = float("-inf")

    @property
    def path(self) -> Path:
        """Where the driver keeps what is its own."""
        return driver_path(self._root)

    def run(self, *, once: bool = False, stay: bool = False) -> ExitCode:
        """Drive them until there is nothing to do in any.

        Parameters
        ----------
        once
            Harvest, plan and submit once, then leave; jobs go on.
        stay
            Go on when there is nothing to do: campaigns and tasks may come.

        Returns
        -------
        ExitCode
            In error if any is, else out of budget if any is, else not finished if any is.

        Raises
        ------
        CampaignLockedError
            Another process drives the workspace.
        WorkspaceError
            It cannot be written by this user.
        """
        with self._lock() as lock:
            wait_at_most()
            patiently(lambda: quiet_experimaestro(self.path / "driver.log"))
            remove(self.path / "stop")
            self._read_shares()
            self._begun()
            try:
                with self._interrupts.heard():
                    return self._drive(lock, once=once, stay=stay)
            except KeyboardInterrupt:
                self._tell(DriverEvent("detached"))
                return ExitCode.DETACHED
            finally:
                for member in self._members.values():
                    member.close()
                self._held.close()
                self._keep_shares()
                self._tell.look()

    @contextmanager
    def _lock(self) -> Iterator[CampaignLock]:
        make_directories(self.path)
        lock = CampaignLock(self.path, what=f"workspace '{self._root}'")
        with lock.hold(is_brief=False):
            yield lock

    def _drive(self, lock: CampaignLock, *, once: bool, stay: bool) -> ExitCode:
        stopping = False
        while True:
            self._look_for_campaigns()
            crowds = self._crowds()
            for member in self._members.values():
                member.take_turn(crowds[member.is_open])
            self._pass_on()
            if not stopping:
                self._share_out()
            if once:
                self._settle()
                return self._ending()
            if not stopping and self._is_to_stop():
                stopping = True
                for member in self._members.values():
                    member.stop()
            if stopping and not any(member.is_stopping for member in self._members.values()):
                remove(self.path / "stop")
                return ExitCode.DETACHED
            if not stay and not stopping and self._has_nothing_to_do():
                return self._ending()
            self._wait(lock)

    # ------------------------------------------------------------------------------------------------ its campaigns
    def _look_for_campaigns(self) -> None:
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            found = {records.name: records.path for records in list_campaigns(self._root)}
        except WorkspaceError as error:  # looked at again
            if self._blind_since is None:
                self._blind_since = self._looked
                self._tell(DriverEvent(f"{error} It is looked at again."))
            return
        self._blind_since = None
        for name, path in found.items():
            if name not in self._members:
                self._members[name] = self._member(name, path)
        for name in self._members.keys() - found.keys():
            member = self._members[name]
            if member.is_gone():
                member.give_up()
            if not member.is_open:
                del self._members[name]

    def _crowds(self) -> dict[bool, float]:
        """Return the seconds between two turns of a campaign that leave the others theirs, if it is open and if not."""
        is_open = len(self._open())
        return {True: is_open / _TURNS_A_SECOND, False: (len(self._members) - is_open) / _TURNS_A_SECOND}

    def _member(self, name: str, path: Path) -> Member:
        tell = Teller(lambda event: self._observe(name, event))
        return Member(path, self._workspace, self._launcher_of, tell, self._ended.set, self._budget, self._running)

    def _running(self) -> Any:
        """Return the one experiment of experimaestro, which begins with the first attempt."""
        if self._session is None:
            session = Session(self._workspace, _EXPERIMENT, self._ended.set)
            self._session = self._held.enter_context(session)
        return self._session.running

    def _has_nothing_to_do(self) -> bool:
        if self._blind_since is not None and time.monotonic() - self._blind_since < _BLIND_SECONDS:
            return False
        return not any(member.is_hoped_for for member in self._members.values())

    def _ending(self) -> ExitCode:
        """Return the worst of how campaigns stand."""
        for member in self._open():
            member.guarded(member.note_ending)
        endings = {member.ending for member in self._members.values()}
        if (
            ExitCode.IN_ERROR in endings
            or self._blind_since is not None
            or any(member.trouble for member in self._members.values())
        ):
            return ExitCode.IN_ERROR
        for code in (ExitCode.BUDGET, ExitCode.DETACHED):
            if code in endings:
                return code
        return ExitCode.SATISFIED

    # ----------------------------------------------------------------------------------------------------- the slots
    def _pass_on(self) -> None:
        """Take note of what each has had of the slots since this was called last."""
        now = time.monotonic()
        seconds = 0.0 if self._passed == float("-inf") else now - self._passed
        self._passed = now
        for member in self._open():
            share = self._shares_of(member).of(member.name)
            share.set_weight(member.weight)
            share.pass_on(member.at_work, seconds)
        if now - self._kept > _KEEP_SECONDS:
            self._keep_shares()

    def _share_out(self) -> None:
        """Give free slots to whoever has had least of them by its weight."""
        groups: dict[str, list[Member]] = {}
        for member in self._open():
            groups.setdefault(member.steps.launcher.slots_of, []).append(member)
        for members in groups.values():
            self._share_out_among(members)

    def _share_out_among(self, members: list[Member]) -> None:
        shares, used = self._shares_of(members[0]), sum(len(member.at_work) for member in members)
        wanting = {member.name: member for member in members if member.wants_slots}
        shares.want(wanting)
        with ExitStack() as passes:
            starting: dict[str, Iterator[int]] = {}
            while wanting:
                member = wanting[shares.next(wanting)]
                taken = None
                if used < member.steps.launcher.slots:
                    taken = member.start_one(passes, starting)
                if taken is None:
                    del wanting[member.name]
                    continue
                used += taken
                for task in member.at_work:
                    shares.of(member.name).start(task)

    def _shares_of(self, member: Member) -> Shares:
        return self._shares.setdefault(member.steps.launcher.slots_of, Shares())

    def _open(self) -> list[Member]:
        return [member for member in self._members.values() if member.is_open]

    def _read_shares(self) -> None:
        try:
            record = read_record(self.path / "shares.json", _SHARES, _VERSION)
            self._shares = {str(place): Shares(_times(times)) for place, times in record["places"].items()}
        except FormatError as error:
            if error.newer:
                raise
        except (OSError, KeyError, AttributeError, TypeError, ValueError):
            pass  # all begin equal

    def _keep_shares(self) -> None:
        self._kept = time.monotonic()
        with suppress(OSError):  # a full disk: all begin equal
            places: dict[str, Any] = {place: shares.times() for place, shares in self._shares.items()}
            write_record(self.path / "shares.json", _SHARES, _VERSION, {"places": places})

    # ------------------------------------------------------------------------------------------------------- waiting
    def _is_to_stop(self) -> bool:
        with suppress(OSError):  # looked for again
            return (self.path / "stop").exists()
        return False

    def _wait(self, lock: CampaignLock) -> None:
        """Wait for an event, or for the next look at the disk; events may repeat, come late or never come."""
        self._interrupts.check()
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            lock.beat()
            self._beaten = time.monotonic()
        if self._ended.wait(_TICK_SECONDS):
            self._ended.clear()
        self._tell.look()

    def _settle(self) -> None:
        """Wait until launchers know what became of everything and have started what was submitted."""
        until = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < until:
            if all(member.guarded(member.settle) is not False for member in self._open()):
                return
            time.sleep(0.05)


def driver_path(workspace: Path) -> Path:
    """Return where the driver of a whole workspace keeps what is its own."""
    return workspace / "driver"


def workspace_holder(workspace: Path) -> Holder | None:
    """Return who drives a workspace, None if nobody does."""
    return CampaignLock(driver_path(workspace)).holder()


def ask_to_stop(workspace: Path) -> None:
    """Ask the driver of a workspace to end all attempts at their next checkpoint, and itself."""
    (driver_path(workspace) / "stop").touch()


def _times(given: dict[str, Any]) -> dict[str, float]:
    return {str(name): float(time) for name, time in given.items()}
