"""Every test has its own HOME, workspace and Python path; real data is beside the project."""

from __future__ import annotations

import csv
import gzip
import math
import os
import resource
import shutil
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import psutil
import pytest
from left_processes import processes_of, stacks
from patience import scaled
from places import NO_SKIPS, ROOT, python_path
from slurm_cluster import SlurmCluster, missing

from xpm_alchem.campaign.experimental import read_experimental
from xpm_alchem.campaign.task_state import TaskState, TaskStatus
from xpm_alchem.network.loading import load_network
from xpm_alchem.results.analysis import Analysis

DATA = Path(os.environ.get("XPM_ALCHEM_TEST_DATA", ROOT.parent / "shared" / "data"))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # tests that crash processes leave no core files
# a shell that starts the tests in the background has SIGINT ignored, which children inherit
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def shared_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory that all processes of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point HOME and experimaestro's directories into the test's own directory."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XPM_WORKDIR", str(home / "xpm"))
    monkeypatch.setenv("PYTHONPATH", python_path())
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("XPM_ALCHEM_PAUSES", "0")
    return home


@pytest.fixture
def data() -> Callable[[str], Path]:
    """Return a function that gives the path of a file of real data, or skips."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            message = f"{name} is not in {DATA}; set XPM_ALCHEM_TEST_DATA"
            if NO_SKIPS:
                pytest.fail(message)
            pytest.skip(message)
        return path

    return find


@pytest.fixture
def tyk2(data: Callable[[str], Path], tmp_path: Path) -> Path:
    """Return the TYK2 network, unpacked."""
    path = tmp_path / "tyk2.json"
    path.write_bytes(gzip.decompress(data("tyk2_alchemical_network_openfe1.12.json.gz").read_bytes()))
    return path


@pytest.fixture
def tyk2_analysis(data: Callable[[str], Path], tyk2: Path) -> Analysis:
    """The public results of TYK2: 22 edges, 3 repeats of two legs."""
    index = load_network(tyk2).index
    ids = {record.name: record.id for record in index.transformations}
    tasks = defaultdict(list)
    with open(data("tyk2_per_repeat_pymbar3.csv")) as lines:
        for row in csv.DictReader(lines):
            for leg in ("solvent", "complex"):
                stable_id, n = ids[f"{leg}_{row['ligandA']}_{row['ligandB']}"], int(row["repeat"]) + 1
                task = TaskState(f"{stable_id}-{n}", stable_id, n, "", status=TaskStatus.COMPLETE)
                task.estimate, task.uncertainty = float(row[f"dg_{leg}"]), float(row[f"err_{leg}"])
                tasks[stable_id].append(task)
    return Analysis(index, tasks, read_experimental(data("tyk2_experimental_binding_data.json")))


@pytest.fixture
def need_slurm() -> Callable[..., None]:
    """Return a function that skips where a real SLURM cannot be started."""

    def need(*, accounting: bool) -> None:
        lacking = missing(accounting=accounting) or ([] if os.getuid() == 0 else ["root's rights"])
        if lacking:
            message = f"SLURM cannot be started here: {', '.join(lacking)} lacking (see README, Tests)"
            pytest.fail(message) if NO_SKIPS else pytest.skip(message)

    return need


@pytest.fixture
def start_cluster(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    need_slurm: Callable[..., None],
) -> Iterator[Callable[..., SlurmCluster]]:
    """Return a function that starts a real SLURM cluster (options: SlurmCluster) and points SLURM_CONF to it."""
    clusters: list[SlurmCluster] = []
    template = shared_directory(tmp_path_factory) / "database"

    def start(*, accounting: bool = False, **options: Any) -> SlurmCluster:
        need_slurm(accounting=accounting)
        place = tmp_path / f"cluster{len(clusters)}"
        cluster = SlurmCluster(place, accounting=accounting, template=template, **options)
        clusters.append(cluster)
        monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
        return cluster.start()

    yield start
    for cluster in clusters:
        cluster.stop()


@pytest.fixture(autouse=True)
def no_process_left(tmp_path: Path) -> Iterator[None]:
    """Fail a test that leaves a process behind (one whose working directory or command names the test's directory).

    A process that has said its last word is given the time to end: a Python interpreter takes a while to be torn down.
    """
    yield
    psutil.wait_procs(processes_of(tmp_path), timeout=scaled(15))
    left = processes_of(tmp_path)
    found = [f"{process.info}\n{stacks(process.pid)}" for process in left]
    for process in left:
        process.kill()
    assert not left, "left behind: " + "\n".join(found)


@pytest.fixture(scope="session")
def standing_campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a campaign with tasks in every state, made once for all processes of pytest-xdist; nobody may change it.

    See `fuzzed_campaign.make_campaign`.
    """
    from fuzzed_campaign import make_campaign

    root = shared_directory(tmp_path_factory) / "fuzzed"
    with filelock.FileLock(f"{root}.lock"), pytest.MonkeyPatch.context() as patch:
        if not (root / "made").exists():
            shutil.rmtree(root, ignore_errors=True)
            (root / "home").mkdir(parents=True)
            patch.setenv("HOME", str(root / "home"))
            patch.setenv("XPM_WORKDIR", str(root / "home" / "xpm"))
            patch.setenv("PYTHONPATH", python_path())
            make_campaign(root / "campaign")
            (root / "made").touch()
    return root / "campaign"


_SLOW = ("campaigns", "chaos", "slurm")  # directories of tests that start drivers, tasks, clusters


class _Order:
    """Which tests are slow, before some are taken out by -m, and which are begun first, after that."""

    @staticmethod
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
        for item in items:
            if item.get_closest_marker("slurm") or item.path.relative_to(ROOT / "tests").parts[0] in _SLOW:
                item.add_marker("slow")


@pytest.hookimpl(trylast=True)  # after other tests were taken out by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first, then those on SLURM, which wait more than they work, in every process's share.

    One that is begun last is waited for by all.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    first = [*(item for item in items if item.get_closest_marker("slurm") and item not in long), *long]
    items[:] = [item for item in items if item not in first]
    for number, item in enumerate(first):
        if item in long:
            item.add_marker(pytest.mark.timeout(2400))
        items.insert(math.ceil(number % processes * (len(items) + 1) / processes), item)


def pytest_configure(config: pytest.Config) -> None:
    """Have slow tests marked before any are chosen."""
    config.pluginmanager.register(_Order(), "slow tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many damaged files were read."""
    reports = [report for group in terminalreporter.stats.values() for report in group if hasattr(report, "when")]
    told = ((report.nodeid, dict(getattr(report, "user_properties", ())).get("fuzzed")) for report in reports)
    if counts := {test: count for test, count in told if count}:  # it is told by one of a test's three reports
        terminalreporter.write_line(f"damaged files: {sum(counts.values()):,} cases in {len(counts)} tests")
