"""Takes the lock of a cluster for a run, and gives it back however the run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback

from etcd_steward.leftovers import FOLDER, abandoned
from etcd_steward.locking import FILE, Lock, Owner, conflict, unmade
from etcd_steward.shell import Script, script
from etcd_steward.sweeping import sweep
from etcd_steward.talk import ask
from etcd_steward.waits import trouble

if TYPE_CHECKING:
    from etcd_steward.run import ClusterRun, Sight

__all__ = ["enter"]

# Stands for the token of a lock that cannot be read.
UNREADABLE = "?"


class _GiveBack(BaseStateCallback):
    """Gives the lock back when pyinfra disconnects, which it also does after an error or Ctrl-C."""

    def __init__(self, run: ClusterRun, lock: Lock) -> None:
        self._run, self._lock = run, lock

    def host_disconnect(self, state: State, host: Host) -> None:  # type: ignore[override]
        """Give the lock back on one host; with the first one, also on those outside the limit, which pyinfra never ends."""
        ended = {host.name} | (self._lock.hosts - {one.name for one in state.activated_hosts})
        for name in sorted(ended & self._lock.hosts):
            self._lock.hosts.discard(name)
            _release(self._run, name, self._lock.owner)


def enter(run: ClusterRun, verb: str, sight: Sight, *, changes: bool) -> str:
    """Sweep up after runs that have ended, and lock the cluster where something is to be changed.

    Args:
        run: the run.
        verb: what is about to be done.
        sight: what was seen: the members within reach, their locks, and whether an owner that may be alive is to be
            passed over.
        changes: whether anything is to be changed; where nothing is, the lock of a run that has ended is given back.

    Returns:
        Why it was not locked; empty where all is well.
    """
    _sweep(run, sight)
    if changes:
        return _claim(run, verb, sight)
    _give_back(run, sight)
    return ""


def _claim(run: ClusterRun, verb: str, sight: Sight) -> str:
    # On all members within reach, or on none. A second verb of the same call of pyinfra goes on under the same lock.
    lock: Lock = run.once("lock", lambda: _given_back(run, Lock(Owner.me(verb))))
    owner = lock.owner
    breaking = sight.cluster.settings.etcd_break_lock
    hosts = [name for name, state in sight.hosts.items() if state.reached and name not in lock.hosts]
    jobs = {host: gevent.spawn(_take, run, host, owner, breaking=breaking) for host in hosts}
    gevent.joinall(list(jobs.values()))
    answers: dict[str, tuple[str, Owner | None]] = {host: job.get() for host, job in jobs.items()}
    taken = {host for host, (word, _) in answers.items() if word == "taken"}
    held = {host: other for host, (word, other) in answers.items() if word == "held"}
    not_made = {host: word for host, (word, _) in answers.items() if word not in {"taken", "held"}}
    if held or not_made:
        # One that gave no answer may have it nevertheless; only a lock of ours is given back.
        for host in taken | set(not_made):
            _release(run, host, owner)
        silent = {
            host: word.removeprefix("unmade ") or trouble(run.hosts[host]) for host, word in not_made.items()
        }
        return conflict(held) if held else unmade(silent)
    lock.hosts.update(taken)
    return ""


def _given_back(run: ClusterRun, lock: Lock) -> Lock:
    run.state.add_callback_handler(_GiveBack(run, lock))
    return lock


def _give_back(run: ClusterRun, sight: Sight) -> None:
    # What a run has left that was killed after its last change.
    breaking = sight.cluster.settings.etcd_break_lock
    for host, state in sight.hosts.items():
        owner = Owner.read(state.lock)
        if owner is not None and (owner.dead or breaking):
            _release(run, host, owner)
            logger.warning(f"    {host}: gave back the lock of a run that has ended: {owner}")


def _sweep(run: ClusterRun, sight: Sight) -> None:
    # The temporary folders of runs that have surely ended: a copy of a snapshot holds every secret.
    for host in sorted(run.limited()):
        old = abandoned(sight.hosts[host], FOLDER)
        if old:
            sweep(run, run.hosts[host], old)
            logger.warning(f"    {host}: removed what an interrupted run has left: {', '.join(old)}")


def _take(run: ClusterRun, host: str, owner: Owner, *, breaking: bool) -> tuple[str, Owner | None]:
    replace = ""
    for _ in range(2):
        lines = ask(run, host, _question(owner, replace=replace))
        if "taken" in lines:
            return "taken", None
        if not any(line.startswith("held") for line in lines):
            # That it could not be made is no proof that somebody has it.
            return next((line for line in lines if line.startswith("unmade ")), ""), None
        other = Owner.read(
            next((line.removeprefix("held ") for line in lines if line.startswith("held ")), "")
        )
        if not breaking and (other is None or not other.dead):
            return "held", other
        logger.warning(f"    {host}: took over from a run that has ended: {other or 'nobody can tell which'}")
        replace = other.token if other else UNREADABLE
    return "held", other


def _release(run: ClusterRun, host: str, owner: Owner) -> None:
    ask(run, host, _question(owner, release="yes"))


def _question(owner: Owner, *, replace: str = "", release: str = "") -> Script:
    return script("lock.sh", file=FILE, token=owner.token, line=owner.line, replace=replace, release=release)
