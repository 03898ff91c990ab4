"""What an operator is told of a cluster: a judgement of every member, and one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from etcd_steward.plan import quorum

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.run import Sight
    from etcd_steward.topology import Member

__all__ = ["judge", "problems_of"]


def judge(sight: Sight, limit: set[str]) -> dict[str, str]:
    """Say for every host whether its member keeps the promise: healthy, of this cluster, on the wanted version.

    Args:
        sight: what was seen.
        limit: the hosts that this run may change; a problem of another host is told on all of them.

    Returns:
        For each host with a problem, what it is.
    """
    own = {member.host: problems_of(sight, member) for member in sight.cluster.members}
    problems = {host: "; ".join(told) for host, told in own.items() if told}
    hidden = {
        host: told for host, told in problems.items() if host not in limit or not sight.hosts[host].reached
    }
    if hidden:
        text = "; ".join(f"{host}: {told}" for host, told in hidden.items())
        for host in limit:
            problems.setdefault(host, f"another member is not as promised ({text})")
    return problems


def problems_of(sight: Sight, member: Member) -> list[str]:
    """List what is wrong with one member.

    Args:
        sight: what was seen.
        member: the member.

    Returns:
        Sentences that say what was found, what was wanted, and what to do next.
    """
    state, seen = sight.hosts[member.host], sight.seen
    if not state.reached:
        return [f"found no answer ({state.problem}), wanted the host within reach; next: bring it back"]
    if seen is None and not state.service.running:
        return [f"found etcd {state.service.word}, wanted it running; next: run deploys/etcd.py"]
    problems = []
    if not state.endpoint.healthy:
        said = state.endpoint.error or "no answer"
        problems.append(
            f"found an unhealthy endpoint ({said}), wanted it healthy; next: see docs/troubleshooting.md"
        )
    elif seen is not None:
        problems += _membership(sight, member, state)
    if state.endpoint.alarms:
        problems.append(
            f"found the alarm {', '.join(state.endpoint.alarms)}, wanted none; next: see docs/troubleshooting.md"
        )
    version = (state.endpoint.status or {}).get("version")
    wanted = member.settings.etcd_version
    if version and version != wanted:
        problems.append(
            f"found etcd {version} running, wanted {wanted} as etcd_version says; "
            f"next: pyinfra -y INVENTORY deploys/upgrade.py --data etcd_version={wanted}",
        )
    return problems


def _membership(sight: Sight, member: Member, state: HostState) -> list[str]:
    seen = sight.seen
    if seen is None:
        return []
    problems = []
    status: Mapping[str, object] = (state.endpoint.status or {}).get("header", {})
    if int(str(status.get("cluster_id", 0))) != seen.id:
        problems.append(
            f"found cluster {int(str(status.get('cluster_id', 0))):016x}, wanted {seen.id:016x}; next: see docs/troubleshooting.md"
        )
    listed = next((one for one in seen.members if one.id == int(str(status.get("member_id", 0)))), None)
    if listed is None or listed.learner:
        problems.append("found no voter, wanted one; next: see docs/troubleshooting.md")
    expected = len(sight.cluster.members)
    if len(seen.voters) < expected:
        problems.append(
            f"found {len(seen.voters)} voters, wanted {expected} (quorum {quorum(expected)}); next: run deploys/etcd.py"
        )
    del member
    return problems
