"""Whether a quorum of a cluster answers: yes, proved that it does not, or unknown; no answer is never the answer no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from etcd_steward.observed import ClusterState, HostState

__all__ = ["Standing", "doubt", "stand"]

# What etcd 3.4 to 3.7 write into their own status while they have no leader.
_NO_LEADER = "etcdserver: no leader"


@dataclass(frozen=True)
class Standing:
    """What is known of a cluster's quorum; slow, frozen, refusing and unread hosts never count as gone.

    Args:
        value: `answers`; `lost`, where every member is shown to be stopped, or says itself that it has no leader; else
            `unknown`.
        doubts: for each host of which neither is shown, what is known of it.
    """

    value: Literal["answers", "lost", "unknown"]
    doubts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say why it is not known, host by host."""
        return "; ".join(f"{host}: {why}" for host, why in self.doubts.items())


def stand(hosts: Mapping[str, HostState], seen: ClusterState | None) -> Standing:
    """Say what is known of the quorum of a cluster.

    Args:
        hosts: what the probes told of the hosts on which its members may be.
        seen: what a quorum says of itself, or None.

    Returns:
        One of the three values; `lost` is a proof, and the only one on which a verb may act without consent.
    """
    if seen is not None:
        return Standing("answers")
    doubts = {host: why for host, state in hosts.items() if (why := doubt(state))}
    return Standing("unknown" if doubts else "lost", doubts)


def doubt(state: HostState) -> str:
    """Say why the member of a host may be part of a quorum, though nobody heard one.

    Args:
        state: what the probe told of the host.

    Returns:
        What keeps it from being known; empty where its process is shown to be stopped, or says that it has no leader.
    """
    if not state.reached:
        return f"no answer ({state.problem})"
    if state.uid != 0:
        return "a login without root's rights, which does not see its process"
    endpoint, service = state.endpoint, state.service
    if _says_no_leader(endpoint.status) and not endpoint.healthy:
        return ""
    doubts = {
        f"its etcd refuses us ({endpoint.locked})": endpoint.locked,
        f"its etcd reads, and its answers cannot be read ({endpoint.denied or endpoint.untold})": endpoint.healthy,
        f"no way to see its {', '.join(state.blind)}": state.blind,
        f"etcd {service.word}, and no answer in time ({endpoint.error or 'not a word'})": (
            state.processes or service.running
        ),
    }
    return next((told for told, holds in doubts.items() if holds), "")


def _says_no_leader(status: Mapping[str, Any] | None) -> bool:
    errors = (status or {}).get("errors") or ()
    return not (status or {}).get("leader") and any(_NO_LEADER in str(one) for one in errors)
