"""A real Grid Engine on this machine for one test: sge_qmaster and sge_execd, all of it in one directory.

By hand: python tests/support/grid_engine.py DIR; then `. DIR/settings.sh` in another shell.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from patience import end_of, run, wait_for
from ports import reserved_ports

_PROGRAMS = Path("/usr/lib/gridengine")  # Debian's
_RESOURCES = Path("/usr/share/gridengine/util/resources")
_CONFIGURATION = Path("/usr/share/gridengine/default-configuration")
_NEEDED = (_PROGRAMS / "sge_qmaster", _PROGRAMS / "sge_execd", _CONFIGURATION)


def missing() -> list[str]:
    """Return what is needed and not installed."""
    return [str(path) for path in _NEEDED if not path.exists()]


class GridEngine:
    """A cluster of one node, which is this machine.

    Parameters
    ----------
    path
        Its directory.
    slots
        How many jobs it runs at once.
    """

    def __init__(self, path: Path, *, slots: int = 4) -> None:
        self.path, self._slots = path.resolve(), slots
        self._host = socket.gethostname()
        self._ports = reserved_ports(2)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        port, other = self._ports
        self._group = 100_000 + 100 * port  # of processes by job: no two clusters of this machine share them
        self.env = {
            **os.environ,
            "SGE_ROOT": str(self.path / "root"),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(port),
            "SGE_EXECD_PORT": str(other),
            "PATH": f"{_PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        }

    def start(self) -> GridEngine:
        """Start both daemons and wait until the queue takes jobs."""
        self._configure()
        self._spawn("sge_qmaster")
        wait_for(lambda: self._answers("qconf", "-sh"), seconds=60, what="sge_qmaster coming up")
        self.call("qconf", "-as", self._host)
        scheduler = {"schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1"}
        self._change("-Msconf", self.call("qconf", "-ssconf"), **scheduler, job_load_adjustments="NONE")
        complexes = self.call("qconf", "-sc") + "gpu gpu INT <= YES YES 0 0\n"
        self._change("-Mc", complexes)
        self._change("-Ap", (_RESOURCES / "pe" / "smp").read_text())
        queue = {"qname": "all.q", "hostlist": self._host, "slots": str(self._slots), "pe_list": "smp"}
        queue |= {"load_thresholds": "NONE", "shell": "/bin/sh", "tmpdir": str(self.path / "tmp")}
        self._change("-Aq", self.call("qconf", "-sq"), **queue, complex_values=f"gpu={self._slots}")
        self._spawn("sge_execd")
        wait_for(lambda: "-" not in self.call("qhost").splitlines()[-1].split()[1:4], seconds=60, what="sge_execd")
        return self

    def _configure(self) -> None:
        common, spool = self.path / "root" / "default" / "common", self.path / "spool"
        for directory in (common, spool / "qmaster" / "job_scripts", spool / "execd", self.path / "tmp"):
            directory.mkdir(parents=True)
        root = self.path / "root"
        (root / "util").symlink_to(_RESOURCES.parent)
        architecture = self.call("/usr/share/gridengine/util/arch").strip()
        for name in ("bin", "utilbin", "lib"):
            (root / name).mkdir()
            (root / name / architecture).symlink_to(_PROGRAMS)
        bootstrap = {
            "admin_user": "none",
            "default_domain": "none",
            "ignore_fqdn": "false",
            "spooling_method": "classic",
            "spooling_lib": "libspoolc",
            "spooling_params": f"{common};{spool / 'qmaster'}",
            "binary_path": _PROGRAMS,
            "qmaster_spool_dir": spool / "qmaster",
            "security_mode": "none",
            "listener_threads": 2,
            "worker_threads": 2,
            "scheduler_threads": 1,
        }
        (common / "bootstrap").write_text("".join(f"{key} {value}\n" for key, value in bootstrap.items()))
        (common / "act_qmaster").write_text(f"{self._host}\n")
        (common / "host_aliases").write_text(f"{self._host} localhost\n")  # loopback's name is no other host's
        given = {"execd_spool_dir": str(spool / "execd"), "min_uid": "0", "min_gid": "0", "mailer": "/bin/true"}
        given |= {"load_report_time": "00:00:02", "gid_range": f"{self._group}-{self._group + 99}"}
        configuration = self.path / "configuration"
        configuration.write_text(_changed(_CONFIGURATION.read_text(), given))
        self.call("spoolinit", "classic", "libspoolc", str(bootstrap["spooling_params"]), "init")
        self.call("spooldefaults", "configuration", str(configuration))
        self.call("spooldefaults", "complexes", str(_RESOURCES / "centry"))
        self.call("spooldefaults", "usersets", str(_RESOURCES / "usersets"))
        self.call("spooldefaults", "managers", "root")
        exported = "".join(f"export {name}={self.env[name]}\n" for name in self.env if name.startswith("SGE_"))
        (self.path / "settings.sh").write_text(exported + f"export PATH={_PROGRAMS}:$PATH\n")

    def _change(self, option: str, text: str, **values: str) -> None:
        file = self.path / "change"
        file.write_text(_changed(text, values))
        self.call("qconf", option, str(file))

    def _spawn(self, name: str) -> None:
        with open(self.path / f"{name}.out", "ab") as out:
            self._processes[name] = subprocess.Popen(
                [_PROGRAMS / name],
                env={**self.env, "SGE_ND": "1"},  # in the foreground
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def call(self, *command: str) -> str:
        """Run a command of Grid Engine and return what it prints."""
        done = run(list(command), env=self.env, seconds=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def _answers(self, *command: str) -> bool:
        done = run(list(command), env=self.env, seconds=60)
        if (ended := self._processes["sge_qmaster"].poll()) is not None:
            raise AssertionError(f"sge_qmaster ended with {ended}: {(self.path / 'sge_qmaster.out').read_text()}")
        return done.returncode == 0

    def log(self) -> str:
        """Return what sge_execd has written of its jobs."""
        return "".join(path.read_text(errors="replace") for path in self.path.glob("spool/execd/*/messages"))

    def stop(self) -> None:
        """End all jobs and both daemons."""
        if "sge_qmaster" in self._processes:
            with suppress(AssertionError, subprocess.TimeoutExpired):
                if self.call("qstat"):
                    self.call("qdel", "-f", "-u", "*")
                    wait_for(lambda: not self.call("qstat"), seconds=30, what="the end of all jobs")
        for name in list(reversed(self._processes)):
            process = self._processes.pop(name)
            process.terminate()
            try:
                end_of(process, 20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for twin in self._ports.values():
            twin.close()


def _changed(text: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        text = re.sub(rf"^{key}\s.*", lambda _, line=f"{key} {value}": line, text, flags=re.MULTILINE)
    return text


def main() -> None:
    """Run a cluster until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    cluster = GridEngine(options.path)
    try:
        cluster.start()
        print(f". {cluster.path}/settings.sh", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
