"""Which way an upgrade goes, and what forbids it; without I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from etcd_steward import versions
from etcd_steward.errors import Complaint
from etcd_steward.observed import HostState
from etcd_steward.run import Sight
from etcd_steward.versions import Hop, Version

__all__ = ["Path", "choose_path", "differing_hashes", "running_versions"]

# A member writes its database anew while it starts, and a snapshot is taken beside it.
_ROOM = 2


@dataclass(frozen=True)
class Path:
    """The way from the release that runs to the one that is wanted.

    Args:
        steps: one roll over all members for each.
        downgrade: etcd itself must be asked first.
        complaints: why it must not be gone.
    """

    steps: tuple[Hop, ...] = ()
    downgrade: bool = False
    complaints: tuple[Complaint, ...] = ()


def running_versions(hosts: Mapping[str, HostState]) -> dict[str, Version]:
    """Say which release each reached member runs; one that is no release, such as a candidate, is left out."""
    running = {}
    for host, state in hosts.items():
        try:
            running[host] = versions.parse(str((state.endpoint.status or {}).get("version")))
        except ValueError:
            continue
    return running


def choose_path(sight: Sight, limit: set[str]) -> Path:
    """Find the steps of an upgrade, or the reasons against it.

    Args:
        sight: what was seen.
        limit: the hosts that this run may change; a canary changes only some.

    Returns:
        The path; without steps where every member of the limit runs the wanted release.
    """
    cluster, settings = sight.cluster, sight.cluster.settings
    target = versions.parse(settings.etcd_version)
    running = running_versions(sight.hosts)
    complaints = [*_unwell(sight), *_room(sight)]
    complaints += [
        Complaint(
            host,
            "a member whose release is not known",
            "a release such as 3.5.33",
            "run deploys/status.py, and mend it first",
        )
        for host, state in sight.hosts.items()
        if state.reached and host not in running
    ]
    if not running:
        return Path(complaints=tuple(complaints))
    lowest, highest = min(running.values()), max(running.values())
    if settings.etcd_rollback:
        if lowest.minor_line == highest.minor_line:
            complaints.append(
                Complaint(
                    cluster.name,
                    f"every member on etcd {lowest.minor_line}, so that the cluster's version has risen",
                    "a member that still runs the older release",
                    "a patch release is taken back by naming it as etcd_version; a minor one by restoring a snapshot",
                ),
            )
        return Path((Hop(lowest, "back to the release that the others run"),), complaints=tuple(complaints))
    if all(version == target for host, version in running.items() if host in limit):
        return Path(complaints=tuple(complaints))
    # Members that an interrupted run has already brought on are one step ahead: the path is that of the others.
    try:
        steps = tuple(versions.hops(lowest, target))
    except ValueError as error:
        complaints.append(
            Complaint(cluster.name, str(error), "a path that etcd supports", "choose another etcd_version")
        )
        return Path(complaints=tuple(complaints))
    if len(steps) > 1 and limit != set(sight.hosts):
        complaints.append(
            Complaint(
                cluster.name,
                f"{len(steps)} steps and --limit",
                "one step for a canary",
                f"name {steps[0].to} as etcd_version",
            ),
        )
    if steps and target.minor >= lowest.minor and highest > steps[0].to:
        complaints.append(
            Complaint(
                cluster.name,
                f"members on etcd {highest}, beyond the next step {steps[0].to}",
                "members at most one step apart",
                f"finish the earlier upgrade first: --data etcd_version={highest}",
            ),
        )
    return Path(steps, target.minor < lowest.minor, tuple(complaints))


def _unwell(sight: Sight) -> list[Complaint]:
    complaints = []
    for member in sight.cluster.members:
        state = sight.hosts[member.host]
        if not state.reached:
            complaints.append(
                Complaint(
                    member.host,
                    f"no answer ({state.problem})",
                    "every member healthy",
                    "bring this host back first",
                ),
            )
        elif state.endpoint.alarms:
            complaints.append(
                Complaint(
                    member.host,
                    f"the alarm {', '.join(state.endpoint.alarms)}",
                    "no alarm",
                    "run deploys/maintain.py, then run again"
                    if set(state.endpoint.alarms) == {"NOSPACE"}
                    else "see docs/troubleshooting.md, then run again",
                ),
            )
    if any(record.open for record in sight.records.values()):
        complaints.append(
            Complaint(
                sight.cluster.name,
                "a bootstrap that was not finished",
                "a cluster that passed its gate",
                "run deploys/etcd.py first",
            ),
        )
    if sight.seen is None:
        complaints.append(
            Complaint(
                sight.cluster.name,
                "no quorum",
                "a healthy cluster",
                "run deploys/etcd.py or deploys/status.py first",
            ),
        )
    return complaints


def _room(sight: Sight) -> list[Complaint]:
    complaints = []
    for host, state in sight.hosts.items():
        needed = _ROOM * state.data.size // 2**20 + 64
        if state.reached and state.free_mb < needed:
            complaints.append(
                Complaint(
                    host,
                    f"{state.free_mb} MB free on {state.mount}",
                    f"{needed} MB",
                    "free some space, then run again",
                ),
            )
    return complaints


def differing_hashes(answer: str, members: int) -> str:
    """Judge the hashes of all members at one revision (etcd's guide to data corruption).

    Args:
        answer: the JSON of `etcdctl endpoint hashkv`.
        members: how many must have answered.

    Returns:
        What differs; empty where all are equal.

    Raises:
        ValueError: it is no such answer.
    """
    try:
        told = {str(entry["Endpoint"]): int(entry["HashKV"]["hash"]) for entry in json.loads(answer)}
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"found an answer that holds no hashes: {answer[:200]}") from error
    if len(told) != members:
        raise ValueError(f"found hashes of {len(told)} members, wanted those of {members}")
    if len(set(told.values())) == 1:
        return ""
    return ", ".join(f"{endpoint}: {number:08x}" for endpoint, number in sorted(told.items()))
