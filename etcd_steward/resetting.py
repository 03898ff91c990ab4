"""The end of a cluster: whether it is the one that was meant, and what is left of it; without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from etcd_steward.decisions import NO_ROOT
from etcd_steward.errors import Complaint
from etcd_steward.leaving import left_behind
from etcd_steward.observed import HostState
from etcd_steward.run import Sight
from etcd_steward.topology import Member

__all__ = ["Reset", "choose_reset"]

_CONTROLLER = "the controller"


@dataclass(frozen=True)
class Reset:
    """What is left of a cluster that is ended.

    Args:
        behind: for each host that has something left, what it is, the record last.
        record: the controller still has its record.
        complaints: what forbids it.
    """

    behind: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    record: bool = False
    complaints: tuple[Complaint, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything is left."""
        return bool(self.behind or self.record)


def choose_reset(sight: Sight, limit: Collection[str]) -> Reset:
    """Find out what is left of the cluster, and whether it is the one whose id was typed in.

    Args:
        sight: what was seen.
        limit: the hosts that this run may change.

    Returns:
        What is left, with everything that forbids ending it.
    """
    cluster, typed = sight.cluster, sight.cluster.settings.etcd_reset
    # Its right value is not told here: who types it in has looked at what will be ended.
    where = "look at the first line of deploys/status.py, and type the id in"
    if typed is None:
        complaint = Complaint(cluster.name, "no etcd_reset", "the id of the cluster that is ended", where)
        return Reset(complaints=(complaint,))
    complaints = []
    behind: dict[str, tuple[str, ...]] = {}
    for member in cluster.members:
        state = sight.hosts[member.host]
        others = _ids(sight, member) - {typed}
        left = _left(member, state)
        if others:
            found = "traces of a cluster with another id than etcd_reset"
            complaints.append(Complaint(member.host, found, f"none but those of {typed}", where))
        elif state.reached and state.uid != 0:
            complaints.append(Complaint(member.host, *NO_ROOT))
        elif left and member.host not in limit:
            found = "a member within reach, but left out by --limit or --exclude"
            hint = "run without them; deploys/remove.py takes out a single member"
            complaints.append(Complaint(member.host, found, "all members within reach", hint))
        if left:
            behind[member.host] = left
    record = sight.records.get(_CONTROLLER)
    if record is not None and record.id != typed:
        found = "a record of a cluster with another id than etcd_reset"
        complaints.append(Complaint(_CONTROLLER, found, f"none but that of {typed}", where))
    if complaints:
        return Reset(complaints=tuple(complaints))
    return Reset(behind, record is not None)


def _ids(sight: Sight, member: Member) -> set[str]:
    state = sight.hosts[member.host]
    status = (state.endpoint.status or {}).get("header", {})
    found = {f"{int(status['cluster_id']):016x}"} if "cluster_id" in status else set()
    if state.data.identity is not None:
        found.add(f"{state.data.identity.cluster:016x}")
    if member.host in sight.records:
        found.add(sight.records[member.host].id)
    return found


def _left(member: Member, state: HostState) -> tuple[str, ...]:
    left = left_behind(member.settings, state)
    has_certificates = any(path.startswith(f"{member.settings.etcd_cert_dir}/") for path in state.files)
    if not has_certificates:
        return left
    # The record goes last: it tells a run after an interrupted one which cluster this was.
    return (member.settings.etcd_cert_dir, *left)
