"""The right to change a cluster: on all members within reach or on none, and only while there is something to change."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["FILE", "RUNNING", "Lock", "Owner", "conflict", "has_ended", "mark", "unmade"]

# In a folder that only root can enter, as whoever can open a file can lock it.
FILE = "/run/etcd-steward.root/lock"

# Held by whatever changes a host, as long as it works: see templates/guard.sh.
RUNNING = "/run/etcd-steward.root/running"


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Args:
        token: names this lock and no other.
        controller: the boot of the machine that runs pyinfra, and its container.
        pid: its process.
        started: when that process was started, as the kernel counts.
        verb: what it does.
        since: when it took the lock, by the controller's clock.
        who: user and machine, for people.
    """

    token: str
    controller: str
    pid: int
    started: str
    verb: str
    since: str
    who: str

    @classmethod
    def me(cls, verb: str) -> Owner:
        """Describe this process.

        Args:
            verb: what it is about to do.
        """
        return cls(
            token=secrets.token_hex(8),
            controller=_boot(),
            pid=os.getpid(),
            started=_started(os.getpid()),
            verb=verb,
            since=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            who=f"{getpass.getuser()}@{socket.gethostname()}",
        )

    @property
    def line(self) -> str:
        """What is written behind the token."""
        return shlex.join([self.controller, str(self.pid), self.started, self.verb, self.since, self.who])

    @classmethod
    def read(cls, text: str) -> Owner | None:
        """Read the content of a lock.

        Args:
            text: the file's line.
        """
        try:
            token, controller, pid, started, verb, since, who = shlex.split(text)
            return cls(token, controller, int(pid), started, verb, since, who)
        except ValueError:
            return None

    @property
    def dead(self) -> bool:
        """Whether it was a process of this machine that is gone."""
        return bool(self.controller) and self.controller == _boot() and _has_ended(self.pid, self.started)

    def __str__(self) -> str:
        return f"{self.who} (process {self.pid}) runs {self.verb} since {self.since}"


@dataclass(frozen=True)
class Lock:
    """A lock that this run holds on some hosts.

    Args:
        owner: this run, with the verb that took it first.
        hosts: those on which it was taken so far.
    """

    owner: Owner
    hosts: set[str] = field(default_factory=set)


def conflict(held: Mapping[str, Owner | None]) -> str:
    """Say who holds the lock.

    Args:
        held: the owner for each host that is held, None where it cannot be read.
    """
    told = "; ".join(f"{host}: {owner or 'somebody'}" for host, owner in sorted(held.items()))
    return (
        f"found a run of somebody else ({told}), wanted none; next: wait until it has ended; "
        "if it is surely dead, run again with --data etcd_break_lock=true"
    )


def unmade(told: Mapping[str, str]) -> str:
    """Say where a lock could not be made, though nobody holds it.

    Args:
        told: for each such host what it said; empty where it gave no answer.
    """
    where = "; ".join(f"{host}: {said or 'no answer'}" for host, said in sorted(told.items()))
    return f"found no way to make the lock ({where}), wanted it there; next: make room there, then run again"


def mark() -> str:
    """Return a word for the names of this process's temporaries: a later run can tell that it has ended."""
    return f"{_boot()[:8]}-{os.getpid()}-{_started(os.getpid())}"


def has_ended(other: str) -> bool:
    """Tell whether a mark is that of a process of this machine that is gone.

    Args:
        other: what `mark` returned in some process.

    Returns:
        Whether it has surely ended; of other machines, and of this one before it was booted, nothing is known.
    """
    boot, pid, started = [*other.split("-"), "", ""][:3]
    return bool(boot) and boot == _boot()[:8] and pid.isdigit() and _has_ended(int(pid), started)


def _boot() -> str:
    # Containers of one machine share its boot, but not the numbers of their processes.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        numbers = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {numbers}".encode()).hexdigest()[:32]


def _has_ended(pid: int, started: str) -> bool:
    now = _started(pid)
    if now != "gone":
        # A container's first process may reap nobody: what has ended stays in the list for ever.
        return now != started or _state(pid) in {"Z", "X"}
    # Where /proc hides the processes of other users, only a signal tells whether there is one.
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _started(pid: int) -> str:
    return _told(pid, 19) or "gone"


def _state(pid: int) -> str:
    return _told(pid, 0)


def _told(pid: int, number: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[number]
    except (OSError, IndexError):
        return ""
