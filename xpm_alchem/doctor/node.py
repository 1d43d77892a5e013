"""`xpm-alchem doctor --node`: what one short job finds on a node that it gets as a task of the profile would."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from xpm_alchem.base.errors import CampaignError, InputError
from xpm_alchem.base.files import make_directories, names_in, read_bytes, remove_if_empty
from xpm_alchem.campaign.records import CampaignRecords
from xpm_alchem.campaign.workspace import find_workspace, read_settings
from xpm_alchem.doctor.check import NODE, Finding, Verdict, fault, ok, perform
from xpm_alchem.doctor.examination import doctor_view, find_records
from xpm_alchem.doctor.file_system import locker
from xpm_alchem.doctor.node_checks import LOCK, Asked
from xpm_alchem.doctor.node_job import NodeJob, job_of
from xpm_alchem.doctor.node_program import ANSWER
from xpm_alchem.doctor.site import Site, find_site
from xpm_alchem.launchers.base import AttemptLauncher
from xpm_alchem.launchers.choose import choose_launcher, is_launcher
from xpm_alchem.launchers.local import LocalLauncher
from xpm_alchem.launchers.slurm.launcher import SlurmLauncher
from xpm_alchem.plan.campaign_yaml import read_plan
from xpm_alchem.requests.preparation import workspace_path

_DIRECTORY = "doctor"  # in the workspace
_OLD_SECONDS = 86400.0  # after which what a doctor that was killed has left is removed
_POLL_SECONDS = 0.5
_LOG_LINES = 15


def examine_node(
    node: str,
    campaign: str | Path | None = None,
    *,
    workspace: str | None = None,
    timeout: float,
    tell: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Look at a node; see `client.Campaign.doctor_of_node`."""
    records, site = _found(node, campaign, workspace)
    if site.workspace is None or site.launcher is None:
        raise InputError(_nothing_to_look_with(site))
    answer: dict[str, Any] = {}
    checks: list[dict[str, Any]] = []
    with _directory(site.workspace) as directory:
        findings = list(perform(NODE, [("job", lambda: _job(site, directory, timeout, tell, answer))]))
        checks = [finding.view() for finding in findings] + answer.get("checks", [])
    view = doctor_view(records, site, [])
    return view | {
        "node": answer.get("host"),
        "checks": checks,
        "faults": sum(check["verdict"] == Verdict.FAULT for check in checks),
        "warnings": sum(check["verdict"] == Verdict.WARNING for check in checks),
    }


def _found(node: str, campaign: str | Path | None, workspace: str | None) -> tuple[CampaignRecords | None, Site]:
    """Return what is meant: a launcher, beside a campaign or not, or the launcher of a campaign, run or not yet."""
    profiles = read_settings().launchers
    if campaign is not None or is_launcher(node, profiles):
        records = None if campaign is None else find_records(campaign, workspace)
        return records, find_site(workspace, node, records)
    path = Path(node)
    if not path.exists():
        with suppress(InputError):
            records = find_records(node, workspace)
            return records, find_site(workspace, None, records)
        choose_launcher(node, profiles)  # says which there are
    try:
        records = find_records(path, workspace)
    except CampaignError:
        if not path.is_file():
            raise
        plan = read_plan(path)  # of a campaign that was not run yet
        launcher = choose_launcher(plan.launcher, profiles)
        return None, Site(workspace_path(plan, path, workspace), launcher, (), plan.trusted_modules)
    return records, find_site(workspace, None, records)


def _nothing_to_look_with(site: Site) -> str:
    troubles = "; ".join(f"{name}: {finding.found}" for name, finding in site.troubles)
    return f"{troubles or 'no workspace'}. Give a workspace with --workspace DIR, and a launcher of settings.yaml."


@contextmanager
def _directory(workspace: Path) -> Iterator[Path]:
    """Make a directory in a workspace that lasts as long as the block."""
    all_of_them, was_there = workspace / _DIRECTORY, workspace.exists()
    make_directories(all_of_them)
    for name in names_in(all_of_them):
        with suppress(OSError):
            if time.time() - (all_of_them / name).stat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(all_of_them / name, ignore_errors=True)
    directory = all_of_them / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:8]}"
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        with suppress(OSError):
            remove_if_empty(all_of_them)
            if not was_there:
                remove_if_empty(workspace)


def _job(
    site: Site, directory: Path, timeout: float, tell: Callable[[str], None], answer: dict[str, Any]
) -> Iterator[Finding]:
    """Have the node looked at; put what it has answered into `answer`."""
    assert site.workspace is not None and site.launcher is not None
    with locker(directory / LOCK) as mine:
        asked = _asked(site, site.launcher, holds_lock=mine() == "held")
        asked.write(directory)
        began = time.monotonic()
        job = job_of(site.launcher, directory, "-m", "xpm_alchem.doctor.node_program", directory)
        try:
            job.start()
            last = _wait(job, directory, timeout, tell, answer)
        finally:
            if not answer:
                job.end()
    seconds = time.monotonic() - began
    if answer:
        yield ok(f"{job.name} has looked at {answer['host']}; its answer came after {seconds:.0f} s")
        return
    log = _log(directory)
    printed = f"; it printed: {log}" if log else "; it printed nothing that can be seen here"
    if seconds >= timeout:
        mend = "wait longer with --timeout, or ask for less: a job that is short and small begins earlier"
        yield fault(f"no answer within {timeout:g} s: {job.name} {last}; it was cancelled", mend)
    else:
        mend = "does the node see this workspace, and this Python? What do the profile's modules and prologue do there?"
        yield fault(f"{job.name} gave no answer: {last}{printed}", mend)


def _asked(site: Site, launcher: AttemptLauncher, *, holds_lock: bool) -> Asked:
    profile: Any = launcher.profile if isinstance(launcher, (LocalLauncher, SlurmLauncher)) else None
    container = getattr(profile, "container", None)
    settings = read_settings()
    variables = {**settings.experimaestro.env, **find_workspace(str(site.workspace), settings).env}
    has_gpus = profile.gpu_count > 0 if isinstance(launcher, SlurmLauncher) else profile.gpus is not None
    return Asked(
        workspace=str(site.workspace),
        platform=getattr(profile, "platform", None),
        container=container and attrs.asdict(container),
        has_gpus=has_gpus,
        modules=site.modules,
        trusted=site.trusted,
        holds_lock=holds_lock,
        environment={name: value for name, value in variables.items() if name not in launcher.environ},
    )


def _wait(job: NodeJob, directory: Path, timeout: float, tell: Callable[[str], None], answer: dict[str, Any]) -> str:
    """Wait for an answer, for the job's end or for the time to be over; return how the job is."""
    until, over_until, told = time.monotonic() + timeout, None, ""
    while True:
        now = job.now()
        if ANSWER in names_in(directory):  # a listing: what a network file system remembers of a file may be old
            answer |= json.loads(read_bytes(directory / ANSWER))
            return now.words
        if now.words != told:
            told = now.words
            tell(f"{job.name}: {told}")
        if now.is_over:
            over_until = time.monotonic() + job.patience if over_until is None else over_until
            if time.monotonic() >= over_until:
                return now.words
        if time.monotonic() > until:
            return now.words
        time.sleep(_POLL_SECONDS)


def _log(directory: Path) -> str:
    """Return the end of what was printed, in one line."""
    with suppress(OSError):
        lines = read_bytes(directory / "0.log").decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_LOG_LINES:] if line.strip())
    return ""
