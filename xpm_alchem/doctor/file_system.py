"""Checks of a workspace's file system: writing, space, locks, renaming, watching, its clock."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from xpm_alchem.base.files import atomic_write
from xpm_alchem.base.interpreter import python
from xpm_alchem.doctor.check import Check, Finding, fault, ok, warning

CLOCK_SECONDS = 5.0  # a difference between clocks that is worth a warning
_LEAST_BYTES, _FEW_BYTES = 100 << 20, 5 << 30
_LEAST_INODES, _FEW_INODES = 1000, 100_000  # a task takes about 30
_LOCK_SECONDS = 30.0
REFUSED = (str(errno.EAGAIN), str(errno.EACCES))  # what a locker answers where another one holds the lock
_FEW_WATCHES = 8192
_IN_MEMORY = ("tmpfs", "ramfs")
_NETWORK = {
    "nfs": "NFS",
    "nfs4": "NFS",
    "lustre": "Lustre",
    "gpfs": "GPFS",
    "beegfs": "BeeGFS",
    "ceph": "CephFS",
    "panfs": "PanFS",
    "wekafs": "WekaFS",
    "afs": "AFS",
    "cifs": "CIFS",
    "smb3": "CIFS",
    "9p": "9p",
    "fuse.sshfs": "sshfs",
    "fuse.glusterfs": "GlusterFS",
    "glusterfs": "GlusterFS",
    "orangefs": "OrangeFS",
}
_WEAK = ("AFS", "CIFS", "9p", "sshfs")  # no locks over hosts, or no rename over a file that is open
_LOCAL_LOCKS = ("localflock", "nolock", "local_lock=flock", "local_lock=all")
_LOCKER = """
import fcntl, sys
try:
    lock = open(sys.argv[1], 'a')
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print('held', flush=True)
    sys.stdin.read()
except OSError as error:
    print(error.errno, flush=True)
"""


def file_system_checks(workspace: Path) -> list[tuple[str, Check]]:
    """Return the checks of a workspace's file system. What does not exist yet is looked at where it would be made."""
    place = next(path for path in (workspace, *workspace.parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK) or not place.is_dir():
        return [
            ("workspace", lambda: [_not_writable(workspace, place)]),
            ("file system", lambda: file_system(place)),
            ("disk space", lambda: disk_space(place)),
        ]
    return [
        ("workspace", lambda: writable(workspace, place)),
        ("file system", lambda: file_system(place)),
        ("disk space", lambda: disk_space(place)),
        ("locks", lambda: locks(place)),
        ("atomic files", lambda: atomic_files(place)),
        ("file watching", lambda: file_watching(place)),
        ("clock", lambda: clock(place)),
    ]


@contextmanager
def _probe(place: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".xpm-alchem-doctor-", dir=place) as directory:
        yield Path(directory)


def _not_writable(workspace: Path, place: Path) -> Finding:
    what = "is no directory" if not place.is_dir() else "is read-only for you"
    where = "" if place == workspace else f"{place} "
    return fault(f"{workspace}: {where}{what}", "choose another directory with --workspace, or ask for the right")


def writable(workspace: Path, place: Path) -> Iterator[Finding]:
    """Check that files can be written in the workspace, and kept."""
    try:
        with _probe(place) as probe, open(probe / "file", "wb") as out:
            out.write(b"\0" * 65536)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        mend = "free some space there (quota?), or choose another directory with --workspace"
        yield fault(f"{workspace} cannot be written ({error.strerror})", mend)
        return
    yield ok(f"{workspace} can be written" if place == workspace else f"{workspace} can be made in {place}")


def mount_of(place: Path) -> tuple[str, str, str] | None:
    """Return mount point, type and options of the file system that a path is on."""
    path = place.resolve()
    found = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    if not found:
        return None
    last = max(enumerate(found), key=lambda item: (len(Path(item[1].mountpoint).parts), item[0]))[1]
    return last.mountpoint, last.fstype, last.opts


def file_system(place: Path) -> Iterator[Finding]:
    """Tell the type of the file system, and what that means."""
    mount = mount_of(place)
    yield warning("its type is not known") if mount is None else judged(*mount)


def judged(mount: str, kind: str, options: str) -> Finding:
    """Return what the type and the options of a file system mean for a workspace."""
    told = f"{kind} at {mount}"
    if kind in _IN_MEMORY:
        return warning(f"{told}: in memory, lost when this machine restarts", "choose a workspace on a disk")
    name = _NETWORK.get(kind)
    if name is None:
        return ok(f"{told}: on this machine only, unless it is exported to others")
    local = [option for option in options.split(",") if option in _LOCAL_LOCKS]
    if local:
        found = f"{told}, {name}, mounted with {local[0]}: locks hold on this host only, not against other hosts"
        return warning(found, "start drivers on one host only, or ask your administrator for locks over all hosts")
    if name in _WEAK:
        found = f"{told}, {name}: not made for several hosts that write, locks may not hold over hosts"
        return warning(found, "choose a workspace on the cluster's shared file system")
    return ok(f"{told}, {name}: shared over the network; changes are seen by polling, as inotify is blind there")


def disk_space(place: Path) -> Iterator[Finding]:
    """Check free space and inodes."""
    found = os.statvfs(place)
    yield space(
        found.f_bavail * found.f_frsize,
        found.f_favail if found.f_files else None,  # some file systems do not count them
    )


def space(free: int, inodes: int | None) -> Finding:
    """Judge free bytes and free inodes (None: not counted)."""
    told = f"{free / 1e9:.1f} GB" + ("" if inodes is None else f" and {inodes} inodes") + " are free (quotas aside)"
    mend = "remove what you no longer need, or choose a workspace on another disk"
    if free < _LEAST_BYTES or (inodes is not None and inodes < _LEAST_INODES):
        return fault(told, mend)
    if free < _FEW_BYTES or (inodes is not None and inodes < _FEW_INODES):
        return warning(told, mend)
    return ok(told)


def locks(place: Path) -> Iterator[Finding]:
    """Check that a lock that one process holds is refused to another one."""
    with _probe(place) as probe, locker(probe / "lock") as first:
        answer = first()
        if answer != "held":
            yield no_locks(answer)
            return
        with locker(probe / "lock") as second:
            answer = second()
    if answer in REFUSED:
        yield ok("a lock (flock) of one process is refused to another")
    elif answer == "held":
        found = "two processes got the same lock (flock): two drivers could run a campaign at once"
        yield fault(found, "choose a workspace on another file system, or ask for a mount with locks")
    else:
        yield no_locks(answer)


def no_locks(answer: str) -> Finding:
    """Return the fault that a lock could not be asked for, by a locker's answer."""
    mend = "ask your administrator for a mount with flock (Lustre: -o flock; NFS: lockd), or choose another workspace"
    if answer.isdigit():
        return fault(f"locks (flock) do not work: {os.strerror(int(answer))}", mend)
    return fault(f"locks (flock) do not work: {answer or f'no answer within {_LOCK_SECONDS:g} s'}", mend)


@contextmanager
def locker(path: Path) -> Iterator[Callable[[], str]]:
    """Start a process that takes a lock; yield what gives its answer: 'held', or the number of the error."""
    import selectors

    process = subprocess.Popen(python("-I", "-S", "-c", _LOCKER, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    stdout = process.stdout

    def answer() -> str:  # with a limit: a lock server that is down hangs whoever asks
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            return stdout.readline().decode().strip() if selector.select(_LOCK_SECONDS) else ""

    try:
        yield answer
    finally:
        with suppress(OSError):
            process.stdin.close()
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # it may hang in the kernel, where nothing ends it
            process.wait(5)
        stdout.close()


def atomic_files(place: Path) -> Iterator[Finding]:
    """Check that a file can be written beside and renamed over another, as all of ours are."""
    with _probe(place) as probe:
        path = probe / "record"
        for text in ("old", "new"):
            with atomic_write(path) as out:
                out.write(text)
        if path.read_text() != "new" or len(list(probe.iterdir())) != 1:
            yield fault("a file that was renamed over another did not replace it", "choose another file system")
            return
        try:
            with atomic_write(path, exclusive=True) as out:
                out.write("newest")
        except FileExistsError:
            yield ok("files are renamed and kept as they should")
        else:
            yield fault("a file was renamed over one that must not be replaced", "choose another file system")


def file_watching(place: Path) -> Iterator[Finding]:
    """Check inotify, which experimaestro's monitors use; xpm-alchem's driver looks at the disk itself."""
    mount = mount_of(place)
    if mount is not None and mount[1] in _NETWORK:
        yield ok("by polling: inotify sees no changes made by other hosts. Monitors show them some seconds late")
        return
    problem = _inotify_problem(place)
    if problem == errno.ENOSYS:
        yield ok("by polling: there is no inotify here")
        return
    limit = _number("/proc/sys/fs/inotify/max_user_watches")
    mend = "end other programs that watch files (editors, synchronisers), or ask for a higher fs.inotify.max_user_"
    if problem is not None:
        what = "instances" if problem == errno.EMFILE else "watches"
        yield warning(f"inotify cannot watch: {os.strerror(problem)}; monitors show nothing new", mend + what)
    elif limit is not None and limit < _FEW_WATCHES:
        yield warning(f"inotify works, with {limit} watches for all your programs", mend + "watches")
    else:
        yield ok(f"inotify works ({limit or 'unknown number of'} watches)")


def _inotify_problem(place: Path) -> int | None:
    """Return the error of watching a directory, None if it works."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return errno.ENOSYS
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return ctypes.get_errno()
    try:
        watch = libc.inotify_add_watch(descriptor, os.fsencode(place), 0x100)  # IN_CREATE
        return ctypes.get_errno() if watch < 0 else None
    finally:
        os.close(descriptor)


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def clock(place: Path) -> Iterator[Finding]:
    """Compare the file server's clock with this machine's: the time of a file just written."""
    with _probe(place) as probe:
        path = probe / "file"
        before = time.time()
        path.write_bytes(b"now")
        after = time.time()
        yield compared(path.stat().st_mtime, before, after)


def compared(written: float, before: float, after: float) -> Finding:
    """Judge the time of a file that was written between two moments; all in seconds since the epoch."""
    ahead = max(before - written, 0.0) - max(written - after, 0.0)
    if abs(ahead) <= CLOCK_SECONDS:
        return ok("this machine and the file server agree on the time")
    which = "ahead of" if ahead > 0 else "behind"
    return warning(
        f"this machine's clock is {abs(ahead):.0f} s {which} the file server's: ages of files and heartbeats are wrong",
        "ask your administrator to synchronise the clocks (chrony, ntpd)",
    )
