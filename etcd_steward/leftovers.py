"""What an interrupted run has left on hosts: its lock and its temporaries, and when they are surely nobody's any more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from etcd_steward.locking import Owner, has_ended, mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from etcd_steward.observed import HostState

__all__ = ["DRILL", "FOLDER", "abandoned", "is_nobodys", "new_folder", "notes"]

FOLDER = "/var/tmp/etcd-steward."  # noqa: S108 - folders of mode 0700, made afresh
DRILL = "/.drill."
_OURS = re.compile(re.escape(FOLDER) + r"(?:([0-9a-f]{8}-[0-9]+-[0-9]+)\.)?[A-Za-z0-9_]{6}")
# What lies beside snapshots is made by the script of their job: mktemp's six letters end its name.
_BESIDE = re.compile(r"(?:/[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+/\.(?:drill|taking)\.[A-Za-z0-9_]{6}")

# No copy and no drill takes so long.
_HOURS = 24


def new_folder() -> str:
    """Return the pattern of a folder's name that tells which process made it."""
    return f"{FOLDER}{mark()}.XXXXXX"


def is_nobodys(path: str, age: int) -> bool:
    """Tell whether a temporary folder is surely of no run any more.

    Args:
        path: where it lies.
        age: seconds since it was changed, by its host's clock.

    Returns:
        Whether it is; of another controller's only after a day.
    """
    ours = _OURS.fullmatch(path)
    if ours is None and _BESIDE.fullmatch(path) is None:
        return False
    return age > _HOURS * 3600 or bool(ours and ours.group(1) and has_ended(ours.group(1)))


def abandoned(state: HostState, part: str) -> list[str]:
    """List what interrupted runs have left on a host and surely nobody uses.

    Args:
        state: what the probe told.
        part: a part of the paths, such as `FOLDER` or `DRILL`.

    Returns:
        The paths.
    """
    return [
        path for path, changed in state.left.items() if part in path and is_nobodys(path, state.now - changed)
    ]


def notes(hosts: Iterable[tuple[str, HostState]]) -> list[str]:
    """Say which locks are held, and what interrupted runs have left.

    Args:
        hosts: names and what the probes told.

    Returns:
        Notes.
    """
    states = dict(hosts)
    told = []
    for line, held in _locks(states).items():
        owner = Owner.read(line)
        where = ", ".join(held)
        if owner is not None and owner.dead:
            told.append(f"{where}: the lock of a run that has ended ({owner}); next: run deploys/etcd.py")
        else:
            told.append(
                f"{where}: locked, {owner or 'by somebody'}; if that is surely dead, "
                "the next run needs --data etcd_break_lock=true"
            )
    for host, state in states.items():
        for path, changed in state.left.items():
            if is_nobodys(path, state.now - changed):
                verb = "etcd" if path.startswith(FOLDER) else "drill" if DRILL in path else "backup"
                told.append(f"{host}: left by an interrupted run: {path}; next: run deploys/{verb}.py")
    return told


def _locks(states: Mapping[str, HostState]) -> dict[str, list[str]]:
    held: dict[str, list[str]] = {}
    for host, state in states.items():
        if state.lock:
            held.setdefault(state.lock, []).append(host)
    return held
