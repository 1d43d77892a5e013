"""The doctor's checks of the environment: each is shown something sound and something that is not."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from campaigns import SmallCampaign
from doctored import told, wrong
from slurm_campaigns import SlurmCampaign
from slurm_cluster import whole_seconds

from xpm_alchem import __version__
from xpm_alchem.base.errors import CampaignError, InputError
from xpm_alchem.client import Campaign
from xpm_alchem.doctor import environment, file_system, slurm_site
from xpm_alchem.doctor.check import ENVIRONMENT, Finding, Verdict, ok, perform
from xpm_alchem.doctor.journals import JournalLines
from xpm_alchem.doctor.site import Site
from xpm_alchem.launchers.local import LocalLauncher, LocalProfile


def verdicts(findings: Iterable[Finding]) -> list[str]:
    return [str(finding.verdict) for finding in findings]


def one(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_the_environment_of_the_tests_is_sound(tmp_path: Path) -> None:
    view = Campaign.doctor(workspace=str(tmp_path / "work"))
    assert wrong(view, "environment") == {}
    assert not (tmp_path / "work").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]
    assert view["campaign"] is None and view["launcher"] == "local"


def test_without_a_workspace_the_rest_is_looked_at(own_home: Path) -> None:
    view = Campaign.doctor()
    assert wrong(view, "environment") == {"workspace": "warning"}
    assert view["workspace"] is None and "packages" in {check["check"] for check in view["checks"]}


def test_a_check_that_breaks_is_a_fault_and_the_others_go_on() -> None:
    def broken() -> Iterator[Finding]:
        yield ok("so far")
        raise ZeroDivisionError("division\nby zero")

    found = list(perform(ENVIRONMENT, [("first", broken), ("second", lambda: [ok("well")])]))
    assert [(f.check, f.verdict) for f in found] == [("first", Verdict.FAULT), ("second", Verdict.OK)]
    assert "ZeroDivisionError: division by zero" in found[0].found


# ------------------------------------------------------------------------------------------------------- packages
def test_versions_are_told() -> None:
    finding = one(environment.packages())
    assert finding.verdict is Verdict.OK
    assert f"xpm-alchem {__version__}" in finding.found and "gufe" in finding.found and "experimaestro" in finding.found


@pytest.mark.parametrize("version", ["0.4", "0.4.0", "1.6.0", "1.6.1", "1.10.0", "2.0", None, "unknown"])
def test_versions_of_gufe_that_are_supported(version: str | None) -> None:
    assert environment.gufe_finding(version) is None


@pytest.mark.parametrize("version", ["0.9.5", "1.0.0", "1.5.2"])
def test_versions_of_gufe_that_are_not(version: str) -> None:
    finding = environment.gufe_finding(version)
    assert finding is not None and finding.verdict is Verdict.WARNING and version in finding.found


@pytest.mark.parametrize(
    ("names", "in_conda", "verdict"),
    [
        ({"acellera-openff-toolkit", "gufe"}, False, "ok"),
        ({"openff-toolkit", "openff-units"}, True, "ok"),
        ({"acellera-openff-toolkit", "gufe"}, True, "warning"),
        ({"acellera-openff-toolkit", "openff-toolkit"}, True, "fault"),
        ({"acellera-openff-toolkit", "openff-toolkit"}, False, "fault"),
    ],
)
def test_a_mixture_of_openff_packages_is_found(names: set[str], in_conda: bool, verdict: str) -> None:
    finding = one(environment.openff_packages(names, in_conda=in_conda))
    assert str(finding.verdict) == verdict
    assert ("pip uninstall acellera-openff-toolkit" in finding.mend) is (verdict != "ok")


def test_modules_that_are_not_trusted_missing_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doctored_broken.py").write_text("import no_such_module_at_all")
    (tmp_path / "doctored_spy.py").write_text("raise SystemExit('imported although it is not trusted')")
    monkeypatch.syspath_prepend(tmp_path)
    modules = ("gufe.protocols", "dummy_protocol", "doctored_broken", "doctored_spy", "doctored_absent", "pathlib")
    trusted = ("dummy_protocol", "doctored_broken", "doctored_absent")
    refused, missing, absent = environment.protocol_modules(modules, trusted)
    assert refused.verdict is Verdict.FAULT and refused.places == ("doctored_spy",)
    assert missing.verdict is Verdict.FAULT and len(missing.places) == 2
    assert "doctored_broken: ModuleNotFoundError: No module named 'no_such_module_at_all'" in missing.found
    assert absent.verdict is Verdict.WARNING and absent.found.endswith("not installed: doctored_absent")
    assert "doctored_spy" not in sys.modules
    fine = one(environment.protocol_modules(("gufe.protocols", "dummy_protocol", "pathlib"), ("dummy_protocol",)))
    assert fine.verdict is Verdict.OK and fine.found.startswith("2 ")


# -------------------------------------------------------------------------------------------------------- machine
def test_home_that_can_be_written_and_one_that_cannot(tmp_path: Path) -> None:
    assert verdicts(environment.home(tmp_path)) == ["ok"]
    assert verdicts(environment.home(tmp_path / "nowhere")) == ["warning"]
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


def test_open_files_against_slots() -> None:
    few, many = (Site(launcher=LocalLauncher(LocalProfile(slots=slots))) for slots in (2, 1000))
    assert verdicts(environment.open_files(4096, few)) == ["ok"]
    assert verdicts(environment.open_files(resource.RLIM_INFINITY, many)) == ["ok"]
    assert "ulimit -n 1024" in one(environment.open_files(256, few)).mend
    assert "ulimit -n 2256" in one(environment.open_files(1024, many)).mend


def test_more_slots_than_cores() -> None:
    cores = len(os.sched_getaffinity(0))
    assert verdicts(environment.machine(Site(launcher=LocalLauncher(LocalProfile(slots=1))))) == ["ok"]
    finding = one(environment.machine(Site(launcher=LocalLauncher(LocalProfile(slots=cores + 1)))))
    assert finding.verdict is Verdict.WARNING and "lower 'slots'" in finding.mend


# ---------------------------------------------------------------------------------------------------- file system
def test_a_workspace_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("")
    view = Campaign.doctor(workspace=str(tmp_path / "work"))
    assert wrong(view, "environment") == {"workspace": "fault"}
    assert "is no directory" in told(view, "workspace")


@pytest.mark.parametrize(
    ("kind", "options", "verdict", "words"),
    [
        ("ext4", "rw", "ok", "this machine only"),
        ("nfs4", "rw,local_lock=none", "ok", "NFS: shared over the network; changes are seen by polling"),
        ("lustre", "rw,flock", "ok", "Lustre"),
        ("gpfs", "rw", "ok", "GPFS"),
        ("beegfs", "rw", "ok", "BeeGFS"),
        ("lustre", "rw,localflock", "warning", "locks hold on this host only"),
        ("nfs", "rw,nolock,vers=3", "warning", "locks hold on this host only"),
        ("nfs", "rw,local_lock=all", "warning", "locks hold on this host only"),
        ("cifs", "rw", "warning", "CIFS"),
        ("tmpfs", "rw", "warning", "in memory"),
    ],
)
def test_what_a_file_system_means(kind: str, options: str, verdict: str, words: str) -> None:
    finding = file_system.judged("/work", kind, options)
    assert str(finding.verdict) == verdict and words in finding.found


def test_the_file_system_is_that_of_the_longest_mount_point(tmp_path: Path) -> None:
    assert file_system.mount_of(Path("/proc/self/fd"))[:2] == ("/proc", "proc")
    (tmp_path / "link").symlink_to("/proc/self")
    assert file_system.mount_of(tmp_path / "link")[:2] == ("/proc", "proc")


@pytest.mark.parametrize(
    ("free", "inodes", "verdict"),
    [
        (10**11, 10**7, "ok"),
        (10**11, None, "ok"),
        (10**9, 10**7, "warning"),
        (10**11, 50_000, "warning"),
        (10**6, 10**7, "fault"),
        (10**11, 10, "fault"),
    ],
)
def test_free_space_and_inodes(free: int, inodes: int | None, verdict: str) -> None:
    assert str(file_system.space(free, inodes).verdict) == verdict


def test_a_lock_that_is_held_is_refused_to_another_process(tmp_path: Path) -> None:
    assert verdicts(file_system.locks(tmp_path)) == ["ok"]
    path = tmp_path / "lock"
    with open(path, "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with file_system.locker(path) as answer:
            assert answer() == str(errno.EAGAIN)
    with file_system.locker(path) as answer:
        assert answer() == "held"
    with file_system.locker(tmp_path / "nowhere" / "lock") as answer:
        assert file_system.no_locks(answer()).found.endswith("No such file or directory")
    assert "Function not implemented" in file_system.no_locks(str(errno.ENOSYS)).found
    assert "no answer within" in file_system.no_locks("").found


def test_files_are_renamed_whole(tmp_path: Path) -> None:
    assert verdicts(file_system.atomic_files(tmp_path)) == ["ok"]
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


def test_inotify_and_what_it_is_when_no_more_can_be_opened(tmp_path: Path) -> None:
    assert verdicts(file_system.file_watching(tmp_path)) == ["ok"]
    assert file_system._inotify_problem(tmp_path) is None
    assert file_system._inotify_problem(tmp_path / "nowhere") == errno.ENOENT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    spare = [os.dup(0) for _ in range(used)]  # no gap is left below
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, hard))
        assert file_system._inotify_problem(tmp_path) == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in spare:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("written", "verdict", "words"),
    [
        (1000.5, "ok", "agree"),
        (999.0, "ok", "agree"),
        (990.0, "warning", "10 s ahead of"),
        (1101.0, "warning", "100 s behind"),
    ],
)
def test_the_file_servers_clock(written: float, verdict: str, words: str) -> None:
    finding = file_system.compared(written, 1000.0, 1001.0)
    assert str(finding.verdict) == verdict and words in finding.found


# ------------------------------------------------------------------------------------------- settings and launchers
def _settings(home: Path, text: str) -> None:
    path = home / ".config" / "experimaestro" / "settings.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_settings_that_cannot_be_read(own_home: Path, tmp_path: Path) -> None:
    _settings(own_home, "workspaces: [")
    view = Campaign.doctor(workspace=str(tmp_path))
    assert wrong(view, "environment") == {"settings": "fault"}
    assert view["workspace"] == str(tmp_path)


def test_the_default_workspace_is_that_of_the_settings(own_home: Path, tmp_path: Path) -> None:
    _settings(own_home, f"workspaces:\n- id: here\n  path: {tmp_path / 'work'}\n")
    assert Campaign.doctor()["workspace"] == str(tmp_path / "work")
    with pytest.raises(CampaignError, match="there is no 'there'"):
        Campaign.doctor(workspace="there")


def test_a_launcher_that_was_given_must_exist(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="did you mean 'local'"):
        Campaign.doctor(workspace=str(tmp_path), launcher="locla")


def test_fix_without_a_campaign_is_refused() -> None:
    with pytest.raises(InputError, match="--fix mends a campaign"):
        Campaign.doctor(fix=True)


def test_without_slurm_there_is_one_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    view = Campaign.doctor(workspace=str(tmp_path), launcher="slurm")
    assert wrong(view, "environment") == {"slurm commands": "fault"}
    assert "not on PATH: sbatch, squeue, scancel" in told(view, "slurm commands")


def test_slurm_whose_commands_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sbatch", "squeue", "scancel", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = list(slurm_site.commands())
    assert "fault" in verdicts(found) and "found, but cannot be used" in found[-1].found
    assert verdicts(slurm_site.controller()) == ["fault"]
    assert verdicts(slurm_site.accounting()) == ["warning"]


@pytest.mark.slurm
@pytest.mark.parametrize("accounting", [False, True], ids=["squeue only", "with accounting"])
def test_a_slurm_cluster(start_cluster, tmp_path: Path, own_home: Path, accounting: bool) -> None:
    # what a controller that is down is asked takes so long
    cluster = start_cluster(accounting=accounting, settings={"MessageTimeout": whole_seconds(3)})
    profiles = "good: {kind: slurm, time: 5min, mem: 300M}, bad: {kind: slurm, partition: gpu}"
    _settings(own_home, f"workspaces: []\nxpm_alchem: {{launchers: {{{profiles}}}}}\n")
    view = Campaign.doctor(workspace=str(tmp_path / "w"), launcher="good")
    assert wrong(view, "environment") == ({} if accounting else {"slurm accounting": "warning"})
    assert " of slurm" in told(view, "slurm commands") and "SLURM would accept" in told(view, "slurm profile")
    view = Campaign.doctor(workspace=str(tmp_path / "w"), launcher="bad")
    assert wrong(view, "environment")["slurm profile"] == "fault"
    assert "invalid partition specified: gpu" in told(view, "slurm profile")
    assert cluster.jobs() == []
    if not accounting:
        assert "counts as lost" in told(view, "slurm accounting")
        cluster.end("slurmctld")
        view = Campaign.doctor(workspace=str(tmp_path / "w"), launcher="good")
        assert wrong(view, "environment")["slurm controller"] == "fault"


@pytest.mark.slurm
def test_a_campaign_that_ran_on_a_cluster(start_cluster, tmp_path: Path) -> None:
    start_cluster(accounting=True)
    campaign = SlurmCampaign(tmp_path / "c")
    assert campaign.run().returncode == 0
    view = Campaign.doctor(campaign.records.path)
    assert wrong(view, "environment") == {} and wrong(view) == {}
    assert "1 batch(es)" in told(view, "slurm batches")
    (attempt,) = campaign.one_task()
    for directory in (campaign.records.task_path(task) for task in campaign.records.state().tasks.values()):
        os.utime(directory / "summary.json", (1.0, 1.0))
    assert f"{attempt.node} " in told(Campaign.doctor(campaign.records.path), "node clocks")


# ------------------------------------------------------------------------------------------------------- journals
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"format": 1}\n{"a": 1}\n', JournalLines(2)),
        (b'{"format": 1}\n{"a": 1}', JournalLines(2, is_torn=True)),
        (b'{"format": 1}\n{"a": "tex\n{"a": 1}\n', JournalLines(2, cut=(2,))),
        (b'{"format": 1}\n{"a": tr\n', JournalLines(1, cut=(2,))),
        (b'{"format": 1}\n{"a": 1, "b"', JournalLines(1, cut=(2,), is_torn=True)),
        (b'{"format": 1}\n{"a": 1, x"b": 2, "c": 3}\n', JournalLines(1, damaged=(2,))),
        (b'{"format": 1}\n\0\0\0\0\n', JournalLines(1, damaged=(2,))),
        (b'{"format": 1}\n{"a": "\xff"}\n', JournalLines(1, damaged=(2,))),
        (b'{"form\n{"a": 1}\n', JournalLines(1, damaged=(1,))),
        (b'{"a": 1}\n[1]\n', JournalLines(0, damaged=(1, 2))),
        (b"", JournalLines(0)),
    ],
)
def test_lines_of_a_journal(tmp_path: Path, text: bytes, expected: JournalLines) -> None:
    (tmp_path / "journal").write_bytes(text)
    assert JournalLines.read(tmp_path / "journal") == expected


def test_every_way_to_cut_a_line_short_is_told_from_damage(tmp_path: Path) -> None:
    line = b'{"a": [1, -2.5e-3, null, true, false], "b": {"c": "\\u00e4 text", "d": {}}}'
    for length in range(1, len(line)):
        (tmp_path / "journal").write_bytes(b'{"format": 1}\n' + line[:length] + b"\n")
        assert JournalLines.read(tmp_path / "journal") == JournalLines(1, cut=(2,)), line[:length]


def test_a_plan_whose_launcher_is_unknown(tmp_path: Path) -> None:
    campaign = SmallCampaign(tmp_path / "c", edges=[(0, 1)])
    made = Campaign.create(campaign.file)
    text = (made.path / "campaign.yaml").read_text()
    (made.path / "campaign.yaml").write_text(text.replace("kind: local", "kind: lokal"))
    view = Campaign.doctor(made.path)
    assert wrong(view, "environment") == {"launcher": "fault"}
    assert wrong(view) == {}
