"""The whole of `xpm-alchem doctor`: what to look at, all checks, mending, and the view that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from xpm_alchem.base.errors import CampaignError, InputError
from xpm_alchem.base.paths import absolute, expanded
from xpm_alchem.base.shell import command_line
from xpm_alchem.campaign.holder import Holder
from xpm_alchem.campaign.records import CampaignRecords, campaign_path
from xpm_alchem.campaign.workspace import find_workspace, read_settings
from xpm_alchem.doctor.campaign_files import CampaignFiles
from xpm_alchem.doctor.check import CAMPAIGN, ENVIRONMENT, Check, Finding, Verdict, broken, perform
from xpm_alchem.doctor.environment import environment_checks
from xpm_alchem.doctor.file_system import file_system_checks
from xpm_alchem.doctor.mending import mend
from xpm_alchem.doctor.site import Site, find_site
from xpm_alchem.doctor.survey import Progress, Survey
from xpm_alchem.plan.campaign_yaml import read_plan
from xpm_alchem.requests.preparation import workspace_path

_FILES = ("index.json", "campaign.yaml", "network.json", "tasks.jsonl", "driver.json")
_ROUNDS = 3  # a file that was made again may let another be made again


def examine(
    campaign: str | Path | None = None,
    *,
    workspace: str | None = None,
    launcher: str | None = None,
    fix: bool = False,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Check the environment, and a campaign if one is given; see `client.Campaign.doctor`."""
    if fix and campaign is None:
        raise InputError("--fix mends a campaign: give one. What is wrong with an environment, you must mend yourself.")
    records = None if campaign is None else find_records(campaign, workspace)
    site = find_site(workspace, launcher, records)
    findings = list(perform(ENVIRONMENT, _environment(site)))
    mended: list[str] = []
    failed: list[str] = []
    if records is not None:
        with ExitStack() as stack:
            holder = records.holder()
            if fix:
                killed = holder is None and (records.path / "holder.json").exists()
                stack.enter_context(records.lock())
                if killed:
                    mended.append(f"removed {records.path / 'holder.json'} of a driver that was killed")
            found = _look_at_campaign(records, holder, progress, is_fixing=fix)
            for _ in range(_ROUNDS if fix else 0):
                repairs = [repair for finding in found for repair in finding.repairs]
                done = list(mend(repairs))
                mended += [sentence for worked, sentence in done if worked]
                failed = [sentence for worked, sentence in done if not worked]
                if not any(worked for worked, _ in done):
                    break
                found = _look_at_campaign(records, holder, progress, is_fixing=fix)
        findings += found
    return doctor_view(records, site, findings, mended, failed)


def _environment(site: Site) -> list[tuple[str, Check]]:
    checks: list[tuple[str, Check]] = [(name, partial(list, [finding])) for name, finding in site.troubles]
    checks += environment_checks(site)
    if site.workspace is not None:
        try:
            checks += file_system_checks(site.workspace)
        except OSError as error:
            checks.append(("workspace", partial(list, [broken(error)])))
    if site.launcher is not None:  # then experimaestro can be imported
        from xpm_alchem.doctor.slurm_site import slurm_checks
        from xpm_alchem.launchers.slurm.launcher import SlurmLauncher

        if isinstance(site.launcher, SlurmLauncher):
            checks += slurm_checks(site.launcher)
    return checks


def _look_at_campaign(
    records: CampaignRecords, holder: Holder | None, progress: Progress, *, is_fixing: bool
) -> list[Finding]:
    fresh = CampaignRecords(records.path).by_journal_alone()  # nothing that was read before
    checks = CampaignFiles(fresh, holder, is_fixing=is_fixing).checks()
    checks += Survey(fresh, is_driven=holder is not None, progress=progress).checks()
    return list(perform(CAMPAIGN, checks))


def find_records(campaign: str | Path, workspace: str | None) -> CampaignRecords:
    """Return a campaign by its campaign.yaml, its directory or its name, also where some of its files are missing.

    Raises
    ------
    CampaignError
        There is none.
    """
    try:
        return _find_records(expanded(campaign), workspace)
    except (OSError, RuntimeError) as error:  # no right to look there, a name that is too long, an unknown ~user
        raise CampaignError(f"{campaign}: cannot be looked at ({error}).") from None


def _find_records(path: Path, workspace: str | None) -> CampaignRecords:
    own = path.name == "campaign.yaml" and absolute(path).parent.parent.name == "campaigns"
    if own and path.is_file():  # the one in the campaign's directory
        path = absolute(path).parent
    if path.is_file():
        plan = read_plan(path)
        root = workspace_path(plan, path, workspace)
        found = campaign_path(root, plan.name)
        hint = f"this campaign was not run yet in {root}; `{command_line('run', str(path))}` does."
    elif (path / "index.json").is_file() or (path.is_dir() and absolute(path).parent.name == "campaigns"):
        found, hint = path, "not a campaign."
    else:
        root = Path(find_workspace(workspace, read_settings()).path)
        found = campaign_path(root, str(path))
        hint = f"{root} has no campaign of this name. `xpm-alchem list` shows those there are."
    if not any((found / name).exists() for name in _FILES):
        raise CampaignError(f"{path}: {hint}")
    return CampaignRecords(found)


def doctor_view(
    records: CampaignRecords | None,
    site: Site,
    findings: list[Finding],
    mended: Sequence[str] = (),
    failed: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what was found as plain data; see docs/json.md."""
    return {
        "campaign": None if records is None else records.name,
        "path": None if records is None else str(records.path),
        "workspace": None if site.workspace is None else str(site.workspace),
        "launcher": None if site.launcher is None else site.launcher.name,
        "faults": sum(finding.verdict is Verdict.FAULT for finding in findings),
        "warnings": sum(finding.verdict is Verdict.WARNING for finding in findings),
        "checks": [finding.view() for finding in findings],
        "mended": list(mended),
        "not_mended": list(failed),
    }
