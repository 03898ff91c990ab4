"""How a member's own endpoint answers."""

from __future__ import annotations

from typing import Any, TypedDict

from etcd_steward.facts.slices import Slice
from etcd_steward.observed import HostState

__all__ = ["Health", "HealthDict", "describe"]


class HealthDict(TypedDict):
    """What `Health` tells."""

    healthy: bool
    error: str
    alarms: list[str]
    role: str | None
    leader: str | None
    db_size: int | None
    db_in_use: int | None
    raft_index: int | None
    raft_applied: int | None
    raft_term: int | None


class Health(Slice[HealthDict]):
    """
    Returns how the member answers on its own host.

    `healthy` is a linearizable read, which needs a quorum; all else is what the member knows without one. Sizes are bytes.

    .. code:: json

        {"healthy": true, "error": "", "alarms": [], "role": "follower", "leader": "8e9e05c52164694d", "db_size": 20480,
         "db_in_use": 16384, "raft_index": 42, "raft_applied": 42, "raft_term": 2}
    """

    def describe(self, state: HostState) -> HealthDict:
        """Take it out of what the probe told."""
        return describe(state)


def describe(state: HostState) -> HealthDict:
    """Describe the endpoint of a probed host.

    Args:
        state: what the probe told.

    Returns:
        Its health; numbers are None where etcd did not answer, sizes are bytes.
    """
    endpoint = state.endpoint
    status = endpoint.status or {}

    def number(key: str) -> int | None:
        return int(status[key]) if key in status else None

    leader = number("leader")
    return {
        "healthy": endpoint.healthy,
        "error": endpoint.error,
        "alarms": list(endpoint.alarms),
        "role": role(status),
        "leader": f"{leader:016x}" if leader else None,
        "db_size": number("dbSize"),
        "db_in_use": number("dbSizeInUse"),
        "raft_index": number("raftIndex"),
        "raft_applied": number("raftAppliedIndex"),
        "raft_term": number("raftTerm"),
    }


def role(status: dict[str, Any]) -> str | None:
    """Say what part a member plays.

    Args:
        status: the decoded answer of `endpoint status`.

    Returns:
        `leader`, `follower` or `learner`; None where there was no answer.
    """
    if not status:
        return None
    if status.get("isLearner"):
        return "learner"
    own = status.get("header", {}).get("member_id")
    return "leader" if own and own == status.get("leader") else "follower"
