"""Which member a host carries, and in what condition its data is."""

from __future__ import annotations

from typing import TypedDict

from etcd_steward.facts.slices import Slice
from etcd_steward.observed import HostState

__all__ = ["Member", "MemberDict", "describe"]


class MemberDict(TypedDict):
    """What `Member` tells."""

    id: str | None
    cluster: str | None
    data: str
    missing: str
    aside: list[str]
    service: str
    running: bool
    enabled: bool
    config: str | None


class Member(Slice[MemberDict]):
    """
    Returns the member that a host carries: its ids, its data and its service.

    The ids are read from its write-ahead log, so they are told while etcd is down. `data` is `empty`, `complete` or `half`;
    `missing` says which half. `config` is the file that a running etcd was started with.

    .. code:: json

        {"id": "8e9e05c52164694d", "cluster": "cdf818194e3a8c32", "data": "complete", "missing": "", "aside": [],
         "service": "started", "running": true, "enabled": true, "config": "/etc/etcd/conf.yml"}
    """

    def describe(self, state: HostState) -> MemberDict:
        """Take it out of what the probe told."""
        return describe(state)


def describe(state: HostState) -> MemberDict:
    """Describe the member of a probed host.

    Args:
        state: what the probe told.

    Returns:
        Its member; ids are None where there is no data, `config` where no etcd runs.
    """
    identity = state.data.identity
    return {
        "id": f"{identity.member:016x}" if identity else None,
        "cluster": f"{identity.cluster:016x}" if identity else None,
        "data": state.data.value,
        "missing": state.data.missing,
        "aside": list(state.aside),
        "service": state.service.word,
        "running": state.service.running,
        "enabled": state.service.enabled,
        "config": state.processes[0].config if state.processes else None,
    }
