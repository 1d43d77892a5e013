"""A real SLURM on this machine for one test: munged, slurmctld, some slurmd, on request slurmdbd with a database.

Everything lies in one directory, every daemon is a child that is waited for, and the ports are free ones of loopback.
By hand: python tests/slurm_cluster.py DIR [--accounting]; then `export SLURM_CONF=DIR/slurm.conf` in another shell.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock
import psutil
from patience import end_of, run, scaled, wait_for
from ports import reserved_ports

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
NEEDED_FOR_ACCOUNTING = ("slurmdbd", "sacct", "sacctmgr", "mariadbd", "mariadb-install-db", "mariadb-admin")


def missing(*, accounting: bool) -> list[str]:
    """Return the programs that are needed and not installed."""
    names = NEEDED + (NEEDED_FOR_ACCOUNTING if accounting else ())
    return [name for name in names if _program(name) is None]


def whole_seconds(seconds: float) -> int:
    """Return a number of seconds for slurm.conf: those of a machine at rest, or more where it is busy now."""
    return math.ceil(scaled(seconds))


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


@contextmanager
def _unblocked_signals() -> Iterator[None]:
    """What is started meanwhile can be told to end."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class SlurmCluster:
    """A cluster in a directory.

    Parameters
    ----------
    path
        Its directory.
    nodes
        How many slurmd of 2 CPUs.
    accounting
        Whether there is a slurmdbd.
    settings
        More lines of slurm.conf.
    partitions
        Lines of slurm.conf after PartitionName=, instead of one partition of all nodes.
    cpus, gpus
        Of each node; the GPUs are none, but what SLURM sets for them is as with real ones.
    template
        The directory of an empty database that is copied for this cluster, made there by the first of many that share
        it: making one takes seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        nodes: int = 4,
        accounting: bool = False,
        settings: Mapping[str, Any] | None = None,
        partitions: tuple[str, ...] = (),
        cpus: int = 2,
        gpus: int = 0,
        template: Path | None = None,
    ) -> None:
        self._cpus, self._gpus = cpus, gpus
        self._template = template or path.resolve() / "template"
        self.path, self.nodes, self.accounting = path.resolve(), nodes, accounting
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("run", "log", "state", "munge", *(f"spool/n{i + 1}" for i in range(nodes))):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        (self.path / "munge").chmod(0o700)
        self._near = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")) / "c"  # a socket's path has 108 characters
        self._near.symlink_to(self.path)
        self._socket = self._near / "run/munge.sock"
        self._reserved = reserved_ports(nodes + 2)
        self._ports = list(self._reserved)
        self._configure(settings or {}, partitions)
        self.env = {**os.environ, "SLURM_CONF": str(self.conf)}

    @property
    def near(self) -> Path:
        """The directory of a short path in which it is linked."""
        return self._near.parent

    @property
    def conf(self) -> Path:
        """slurm.conf."""
        return self.path / "slurm.conf"

    def _configure(self, settings: Mapping[str, Any], partitions: tuple[str, ...]) -> None:
        run, log = self.path / "run", self.path / "log"
        lines: dict[str, Any] = {
            "ClusterName": "lab",
            "SlurmctldHost": "localhost(127.0.0.1)",
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "SlurmctldPort": self._ports[0],
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={self._socket}",
            "StateSaveLocation": self.path / "state",
            "SlurmdSpoolDir": self._near / "spool/%n",
            "SlurmctldPidFile": run / "slurmctld.pid",
            "SlurmdPidFile": run / "slurmd-%n.pid",
            "SlurmctldLogFile": log / "slurmctld.log",
            "SlurmdLogFile": log / "slurmd-%n.log",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "JobAcctGatherType": "jobacct_gather/linux",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "SchedulerType": "sched/backfill",
            "SchedulerParameters": "bf_interval=2,sched_interval=2,batch_sched_delay=0,sched_min_interval=0",
            "MpiDefault": "none",
            "ReturnToService": 2,
            "SlurmctldTimeout": 30,
            "SlurmdTimeout": max(30, whole_seconds(10)),  # nodes are looked at after a third of it
            "MinJobAge": 7200,  # what is asked of jobs when a test is over is answered, however long it took
            "KillWait": whole_seconds(5),
            "JobRequeue": 1,
            "DefMemPerCPU": 100,
            "MessageTimeout": whole_seconds(10),
        }
        if self.accounting:
            lines |= {
                "AccountingStorageType": "accounting_storage/slurmdbd",
                "AccountingStorageHost": "localhost",
                "AccountingStoragePort": self._ports[1],
                "AccountingStoragePass": self._socket,
            }
        if self._gpus:
            lines |= {"GresTypes": "gpu", "SlurmdParameters": "config_overrides"}
            self._fake_gpus()
        lines |= settings
        text = "".join(f"{key}={value}\n" for key, value in lines.items())
        for i in range(self.nodes):
            port = self._ports[2 + i]
            address = f"NodeName=n{i + 1} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port}"
            gres = f" Gres=gpu:{self._gpus}" if self._gpus else ""
            text += f"{address} CPUs={self._cpus} RealMemory=2000{gres} State=UNKNOWN\n"
        whole = f"main Nodes=n[1-{self.nodes}] Default=YES State=UP MaxTime=INFINITE DefaultTime=10"
        for partition in partitions or (whole,):
            text += f"PartitionName={partition}\n"
        self.conf.write_text(text)

    def _fake_gpus(self) -> None:
        """Write gres.conf: GPUs that are character devices of nothing; slurmd refuses plain files."""
        lines = ["AutoDetect=off"]
        for node in (f"n{i + 1}" for i in range(self.nodes)):
            for number in range(self._gpus):
                file = self.path / f"{node}-gpu{number}"
                if not file.exists():
                    os.mknod(file, stat.S_IFCHR | 0o666, os.makedev(1, 3))
                lines.append(f"NodeName={node} Name=gpu File={file}")
        (self.path / "gres.conf").write_text("\n".join(lines) + "\n")

    # ----------------------------------------------------------------------------------------------------- daemons
    def start(self) -> SlurmCluster:
        """Start all daemons and wait until every node is idle."""
        key = self.path / "munge/key"
        if not key.exists():
            key.write_bytes(os.urandom(128))
            key.chmod(0o400)
        run, log = self.path / "run", self.path / "log"
        self._spawn(
            "munged",
            "--foreground",
            f"--key-file={key}",
            f"--socket={self._socket}",
            f"--pid-file={run}/munged.pid",
            f"--log-file={log}/munged.log",
            f"--seed-file={self.path}/munge/seed",
            "--force",
            "--num-threads=2",
        )
        self._until(self._socket.exists, "munged")
        if self.accounting:
            self._start_database()
            self.start_slurmdbd()
            self._until(lambda: self._succeeds("sacctmgr", "-n", "-i", "list", "cluster"), "slurmdbd")
            self.call("sacctmgr", "-i", "add", "cluster", "lab", check=False)
        self.start_slurmctld()
        for i in range(self.nodes):
            self.start_slurmd(f"n{i + 1}")
        self.until_idle()
        return self

    def until_idle(self) -> None:
        """Wait until every node is idle."""
        idle = f"idle {self.nodes}"
        self._until(lambda: self.call("sinfo", "-h", "-o", "%T %D", check=False).strip() == idle, "the nodes")

    def _start_database(self) -> None:
        base = self._near / "db"
        temporary = base / "tmp"  # its own: a server that starts deletes all servers' temporary tables in the directory
        temporary.mkdir(parents=True, exist_ok=True)
        if not (base / "data/mysql").exists():
            self._make_template()
            subprocess.run(["cp", "-a", "--sparse=always", self._template, base / "data"], check=True)
        (base / "my.cnf").write_text(
            f"[mariadbd]\nuser=root\ndatadir={base}/data\nsocket={base}/mysql.sock\npid-file={base}/mariadbd.pid\n"
            f"tmpdir={temporary}\n"
            "skip-networking\ninnodb_buffer_pool_size=64M\ninnodb_log_file_size=32M\ninnodb_lock_wait_timeout=900\n"
            "innodb_flush_log_at_trx_commit=0\n"
        )
        self._spawn("mariadbd", f"--defaults-file={base}/my.cnf")
        self._until(lambda: self._succeeds("mariadb-admin", f"--socket={base}/mysql.sock", "-uroot", "ping"), "mariadb")
        conf = self.path / "slurmdbd.conf"
        conf.write_text(
            f"AuthType=auth/munge\nAuthInfo=socket={self._socket}\nDbdHost=localhost\nDbdAddr=127.0.0.1\n"
            f"DbdPort={self._ports[1]}\nSlurmUser=root\nLogFile={self.path}/log/slurmdbd.log\n"
            f"PidFile={self.path}/run/slurmdbd.pid\nStorageType=accounting_storage/mysql\nStorageHost=localhost\n"
            "StorageUser=root\nStorageLoc=slurm_acct_db\n"
        )
        conf.chmod(0o600)

    def _make_template(self) -> None:
        with filelock.FileLock(f"{self._template}.lock"):
            if not self._template.exists():
                new = self._template.with_suffix(".new")
                install = ["mariadb-install-db", "--user=root", f"--datadir={new}", f"--tmpdir={new.parent}"]
                subprocess.run([*install, "--skip-test-db"], check=True, stdout=subprocess.DEVNULL)
                new.rename(self._template)

    def start_slurmctld(self) -> None:
        """Start the controller (again)."""
        self._spawn("slurmctld", "-D", "-f", str(self.conf))

    def start_slurmdbd(self) -> None:
        """Start the accounting daemon (again)."""
        self._spawn("slurmdbd", "-D", MYSQL_UNIX_PORT=str(self._near / "db/mysql.sock"))

    def start_slurmd(self, node: str) -> None:
        """Start a node's daemon (again)."""
        self._spawn(node, "-D", "-N", node, "-f", str(self.conf), program="slurmd")

    def _spawn(self, name: str, *arguments: str, program: str | None = None, **env: str) -> None:
        path = _program(program or name)
        assert path is not None, f"{program or name} is not installed"
        with open(self.path / "log" / f"{name}.out", "ab") as out, _unblocked_signals():
            self._processes[name] = subprocess.Popen(
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**self.env, **env},
                start_new_session=True,
            )

    def end(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a daemon: 'slurmctld', 'slurmdbd', 'n1' ..."""
        process = self._processes.pop(name)
        process.send_signal(number)
        end_of(process, 20)

    def ended(self) -> list[tuple[str, subprocess.Popen[bytes]]]:
        """Return the daemons that have ended by themselves since this was asked last."""
        found = [(name, process) for name, process in self._processes.items() if process.poll() is not None]
        for name, _ in found:
            del self._processes[name]
        return found

    def stop(self) -> None:
        """End all jobs and daemons."""
        if "slurmctld" in self._processes:
            with suppress(subprocess.TimeoutExpired):  # a controller that was killed a moment ago
                self.call("scancel", "--signal=KILL", "--full", "-u", "root", check=False, seconds=30)
        for name in list(reversed(self._processes)):
            process = self._processes.pop(name)
            process.terminate()
            try:
                end_of(process, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for _ in range(20):
            if not self._kill_rest():
                break
            time.sleep(0.25)
        shutil.rmtree(self._near.parent, ignore_errors=True)
        for twin in self._reserved.values():
            twin.close()

    def _kill_rest(self) -> int:
        """Kill slurmstepd and what they run; return how many there were: one may be starting another."""
        killed, ours = 0, f"SLURM_CONF={self.conf}".encode()
        for process in psutil.process_iter(["pid"]):
            try:  # read plainly: slurmstepd writes its title over a part of it, where psutil stops reading
                variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
                if ours in variables and process.pid != os.getpid():
                    process.kill()
                    killed += 1
            except (OSError, psutil.Error):
                continue
        return killed

    # ---------------------------------------------------------------------------------------------------- commands
    def call(self, *command: str, check: bool = True, seconds: float = 60, **env: str) -> str:
        """Run a SLURM command and return what it prints."""
        program = _program(command[0]) or command[0]
        done = run([program, *command[1:]], env={**self.env, **env}, seconds=seconds)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """Return what squeue knows of every job or array element."""
        keys = ("id", "state", "name", "node", "reason", "limit")
        lines = self.call("squeue", "-h", "-r", "-t", states, "-o", "%i|%T|%j|%N|%r|%l").splitlines()
        return [dict(zip(keys, line.split("|"), strict=True)) for line in lines]

    def _succeeds(self, *command: str) -> bool:
        return (
            subprocess.run(
                [_program(command[0]) or command[0], *command[1:]],
                env=self.env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ).returncode
            == 0
        )

    def _until(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
        def is_up() -> bool:
            if condition():
                return True
            for name, process in self._processes.items():
                if process.poll() is not None:
                    log = (self.path / "log" / f"{name}.out").read_text(errors="replace")[-2000:]
                    raise AssertionError(f"{name} ended with {process.returncode}: {log}")
            return False

        wait_for(is_up, seconds=seconds, what=f"{what} coming up")


def main() -> None:
    """Run a cluster until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--accounting", action="store_true")
    options = parser.parse_args()
    started = time.time()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    cluster = SlurmCluster(options.path, nodes=options.nodes, accounting=options.accounting)
    try:
        cluster.start()
        print(f"up after {time.time() - started:.1f} s: export SLURM_CONF={cluster.conf}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
