"""Rows g to n of the table: one host beside a cluster that answers."""

from __future__ import annotations

from collections.abc import Mapping

from etcd_steward.decisions import Decision, Refusal, clone_of
from etcd_steward.observed import ClusterState, HostState, ListedMember
from etcd_steward.record import Record, still_open
from etcd_steward.topology import Cluster, Member

__all__ = ["never_started", "with_quorum"]


def with_quorum(
    cluster: Cluster,
    member: Member,
    state: HostState,
    seen: ClusterState,
    records: Mapping[str, Record],
) -> Decision:
    """Decide for one reached host while a quorum answers.

    Args:
        cluster: the cluster as the settings describe it.
        member: the host's member.
        state: what the probe told.
        seen: what a quorum says of the cluster.
        records: our records by where they lie.

    Returns:
        The decision.

    Raises:
        Refusal: nothing may be done.
    """
    if state.data.identity is None:
        return _empty_beside_quorum(member, seen, records)
    identity = state.data.identity
    where = member.settings.etcd_data_dir
    listed = next((one for one in seen.members if one.id == identity.member), None)
    stale = identity.cluster != seen.id or listed is None
    if stale and member.name in member.settings.etcd_move_aside and not state.processes:
        return Decision(member.host, "n", "join", "its old data is moved aside, as etcd_move_aside says")
    if identity.cluster != seen.id:
        raise Refusal(
            "n",
            f"data of another cluster in {where} (id {identity.cluster:016x})",
            f"data of cluster {seen.id:016x}, or none",
            f"if this data is not needed, stop etcd there and run with --data etcd_move_aside={member.name}",
        )
    if listed is None:
        raise Refusal(
            "n",
            f"data of a removed member in {where} (id {identity.member:016x})",
            "data of a present member, or none",
            f"if this data is not needed, stop etcd there and run with --data etcd_move_aside={member.name}",
        )
    if listed.peer_urls != (member.peer_url,):
        owner = next((one for one in cluster.members if (one.peer_url,) == listed.peer_urls), None)
        if owner is not None:
            raise Refusal("m", *clone_of(owner))
        if listed.learner:
            # Before 3.5.31 and 3.6.12 etcd promotes a learner whose address is changed (etcd#21694).
            raise Refusal(
                "k",
                f"a learner listed with {', '.join(listed.peer_urls)}",
                f"{member.peer_url}, or a voter to be moved",
                f"set etcd_address back, so that it is finished first; or take it out with deploys/remove.py "
                f"--data etcd_member={listed.id:016x}, and let it join anew",
            )
        return Decision(member.host, "k", "move", f"it is listed with {', '.join(listed.peer_urls)}")
    if listed.learner:
        return Decision(member.host, "h", "finish", "a learner that was never promoted")
    if member.settings.etcd_replace == member.name and not state.endpoint.healthy:
        return Decision(
            member.host, "i", "replace", "it is down, and its data is moved aside, as etcd_replace says"
        )
    return Decision(member.host, "g", "converge", "a member with its data")


def _empty_beside_quorum(member: Member, seen: ClusterState, records: Mapping[str, Record]) -> Decision:
    listed = next((one for one in seen.members if one.peer_urls == (member.peer_url,)), None)
    named = next((one for one in seen.members if one.name == member.name), None)
    if listed is not None and listed.name and listed.name != member.name:
        raise Refusal(
            "i",
            f"the peer URL of {listed.name}",
            f"a peer URL of {member.name}'s own",
            "correct etcd_name or etcd_address",
        )
    if listed is None and named is not None:
        raise Refusal(
            "k",
            f"the name {member.name}, listed with {', '.join(named.peer_urls)}",
            member.peer_url,
            "correct etcd_name or etcd_address",
        )
    if listed is None:
        return Decision(member.host, "l", "join", "a host that is not yet a member")
    if never_started(listed) and still_open(records):
        return Decision(
            member.host, "b", "bootstrap", "the bootstrap was interrupted before this member started"
        )
    if never_started(listed):
        return Decision(member.host, "h", "finish", "a listed member that never started")
    if member.settings.etcd_replace == member.name:
        return Decision(member.host, "i", "replace", "its data is lost, as etcd_replace says")
    raise Refusal(
        "i",
        f"no data in {member.settings.etcd_data_dir}, though the cluster knows this member ({listed.id:016x})",
        "its data",
        f"mount its disk; if the disk is lost for ever, run with --data etcd_replace={member.name}. It is never started empty",
    )


def never_started(listed: ListedMember) -> bool:
    """Tell whether a listed member has never published its client URLs."""
    return not listed.client_urls
