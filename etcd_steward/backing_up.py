"""Which member gives a snapshot, and how one travels between a host and the controller."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from pyinfra.api import Host

from etcd_steward.errors import Complaint
from etcd_steward.leftovers import FOLDER, is_nobodys, new_folder
from etcd_steward.observed import HostState
from etcd_steward.rights import lacking_rights
from etcd_steward.schedule import job_script
from etcd_steward.shell import Script, script
from etcd_steward.snapshots import Manifest
from etcd_steward.sweeping import as_login, sweep
from etcd_steward.talk import ask
from etcd_steward.templating import text
from etcd_steward.waits import COMMAND_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.topology import Member

__all__ = ["Taken", "download", "giver", "login_folder", "read_taken", "revisions", "take", "upload"]

# Log entries by which a member may differ from the others while clients write.
_NEAR = 1000


def giver(sight: Sight, limit: set[str]) -> tuple[Member | None, list[Complaint]]:
    """Choose the one member that gives the snapshot: healthy and caught up, rather not the leader.

    etcdctl refuses a snapshot from several endpoints (F24), and one of a member that lags would be an old one.

    Args:
        sight: what was seen.
        limit: the hosts that this run may change.

    Returns:
        The member, or None and why there is none.
    """
    refused = lacking_rights(sight.cluster.members, sight.hosts)
    if refused:
        return None, refused
    healthy = {
        member.host: member
        for member in sight.cluster.members
        if sight.hosts[member.host].endpoint.healthy and sight.hosts[member.host].endpoint.status
    }
    indexes = {host: _number(sight.hosts[host], "raftAppliedIndex") for host in healthy}
    best = max(indexes.values(), default=0)
    near = [host for host in healthy if host in limit and indexes[host] + _NEAR >= best]
    if not near:
        told = "; ".join(
            f"{host}: {state.endpoint.error or state.problem or 'no answer'}"
            for host, state in sight.hosts.items()
            if host not in healthy
        )
        found = f"no healthy member that has caught up and may be asked ({told or 'all outside --limit'})"
        return None, [
            Complaint(
                sight.cluster.name, found, "one", "look at deploys/status.py, and mend the cluster first"
            )
        ]
    chosen = min(near, key=lambda host: (_leads(sight.hosts[host]), healthy[host].name))
    return healthy[chosen], []


def revisions(sight: Sight) -> dict[str, int]:
    """Tell which revision each healthy member's store has.

    Args:
        sight: what was seen.

    Returns:
        The revisions, by the inventory's names of the hosts.
    """
    return {
        host: int(_status(state).get("header", {}).get("revision", 0))
        for host, state in sight.hosts.items()
        if state.endpoint.healthy
    }


def _status(state: HostState) -> Mapping[str, Any]:
    return state.endpoint.status or {}


def _number(state: HostState, key: str) -> int:
    return int(_status(state).get(key, 0))


def _leads(state: HostState) -> bool:
    status = _status(state)
    return bool(status.get("header", {}).get("member_id") == status.get("leader"))


@dataclass(frozen=True)
class Taken:
    """What came of taking a snapshot.

    Args:
        manifest: what was taken; None where nothing was.
        problem: what went wrong; the operator's own command may fail after a snapshot was taken.
        pruned: files that had their time.
    """

    manifest: Manifest | None
    problem: str = ""
    pruned: tuple[str, ...] = ()


def take(run: ClusterRun, cluster: str, member: Member, origin: str, *, quorum: bool = True) -> Taken:
    """Take a snapshot on a member's host, into its own folder, with the same script as the schedule.

    What an upgrade does before its first restart: choose the member with `giver` from what was just seen, and come here
    while the run is executed, once (`run.once`). The snapshot counts only when its own hash is right, etcd's tools can
    read it and its keys were counted; without room for it nothing is taken. It stays on that host, with its manifest.

    Args:
        run: the run.
        cluster: the cluster's name.
        member: who gives it.
        origin: which verb asks.
        quorum: whether the member must be healthy; False for the survivor of a lost quorum.

    Returns:
        What came of it. Without a manifest there is no snapshot: go no further. With a manifest and a problem the
        snapshot is there and good, but the operator's own command failed after it.
    """
    job = job_script(cluster, member, quorum=quorum)
    question = Script("snapshot", f"{job + ''}\nsnapshot {shlex.quote(origin)} || :")
    return read_taken(ask(run, member.host, question, COMMAND_S))


def read_taken(lines: list[str]) -> Taken:
    """Read what the script said that takes a snapshot.

    Args:
        lines: its lines.

    Returns:
        What came of it.
    """
    manifest = Manifest.read(_told(lines, "taken"))
    problem = _told(lines, "failed") or (
        "" if manifest else f"found no answer ({' '.join(lines[-2:])}), wanted a snapshot; next: run again"
    )
    return Taken(manifest, problem, tuple(line[7:] for line in lines if line.startswith("pruned ")))


def _told(lines: list[str], word: str) -> str:
    return next((line.partition(" ")[2] for line in lines if line.startswith(f"{word} ")), "")


def _abandoned(lines: list[str]) -> list[str]:
    """List what interrupted runs have left, out of what a host tells of its folders."""
    left = [line.split(" ", 2) for line in lines if line.startswith("left ")]
    return [path for _, age, path in left if is_nobodys(path, int(age))]


@contextmanager
def login_folder(run: ClusterRun, host: Host) -> Iterator[str]:
    """Make a folder that only the account which pyinfra logs in with can enter, and take it away again.

    pyinfra's own way with sudo leaves a copy in /tmp that everybody can read (pyinfra#1440). On the disk, as
    /tmp is often memory.

    Args:
        run: the run.
        host: the host.

    Yields:
        Its path.

    Raises:
        OSError: it could not be made.
    """
    # What an interrupted run has left is told in the same breath, and goes with it.
    command = f"umask 077; mktemp -d {new_folder()}\n{text('left.sh')}\ntell_left {FOLDER}"
    made, lines = as_login(host, command)
    folder = next((line for line in lines if line.startswith(FOLDER)), "")
    if not made or not folder:
        raise OSError("found no temporary folder on the host, wanted one; next: look at /var/tmp there")
    try:
        yield folder
    finally:
        sweep(run, host, [folder, *_abandoned(lines)])


def download(run: ClusterRun, host: Host, source: str, target: IO[bytes]) -> None:
    """Copy a file that only root can read from a host to the controller.

    Args:
        run: the run.
        host: the host.
        source: its path there.
        target: where it goes.

    Raises:
        OSError: it did not come.
    """
    _, account = as_login(host, "id -u")
    # In a folder of root's own: in one of the login's somebody could have laid a link where root is about to write.
    mine = {"pattern": new_folder(), "folders": FOLDER, "account": " ".join(account[-1:])}
    lines = ask(run, host.name, script("left.sh", "handed.sh", source=source, **mine), COMMAND_S)
    folder = _told(lines, "handed")
    if not folder:
        raise OSError(f"found no way to read {source}, wanted it; next: look at the space in /var/tmp")
    try:
        if not host.get_file(f"{folder}/copy", target):
            raise OSError(f"found that {source} did not come over, wanted it; next: run again")
    finally:
        sweep(run, host, [folder, *_abandoned(lines)])


def upload(host: Host, source: str, folder: str, name: str) -> str:
    """Copy a file from the controller into a folder of `login_folder`.

    Args:
        host: the host.
        source: its path on the controller.
        folder: the folder there.
        name: the file's name there.

    Returns:
        Its path there.

    Raises:
        OSError: it did not arrive.
    """
    if not host.put_file(source, f"{folder}/{name}"):
        raise OSError(f"found that {source} did not arrive, wanted it; next: look at the space in /var/tmp")
    return f"{folder}/{name}"
