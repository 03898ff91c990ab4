"""Members that are known, but on none of the inventory's hosts: two clusters must not serve the same clients."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import gevent

from etcd_steward.errors import Complaint
from etcd_steward.observed import listed_members
from etcd_steward.shell import Script
from etcd_steward.talk import ask
from etcd_steward.topology import member_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etcd_steward.run import ClusterRun, Sight

__all__ = ["elsewhere", "known_elsewhere", "members_question"]


def elsewhere(run: ClusterRun, sight: Sight) -> list[Complaint]:
    """Complain of known members that nobody proved stopped, and that the operator did not name.

    Args:
        run: the run.
        sight: what was seen.
    """
    lists, complaints = _last_lists(run, sight)
    known = known_elsewhere(sight, lists)
    given = sight.cluster.settings.etcd_restore_without
    missing = [name for name in known if name not in given]
    # With a list that nobody could read, a name may be right all the same; and a run that was cut has written new records.
    judged = not complaints and not any(record.open for record in sight.records.values())
    unknown = [name for name in given if name not in known] if judged else []
    complaints += [
        Complaint(
            sight.cluster.name,
            f"etcd_restore_without with {name}",
            f"a known member on no host of the inventory ({', '.join(known) or 'there is none'})",
            "correct etcd_restore_without, or take the name out",
        )
        for name in unknown
    ]
    return complaints + [
        Complaint(
            sight.cluster.name,
            f"the known member {name} ({known[name]}), of which nobody can say that it is stopped",
            "every known member among the hosts that answer",
            f"stop its etcd for good, then run with --data etcd_restore_without={','.join(missing)}",
        )
        for name in missing
    ]


def known_elsewhere(sight: Sight, lists: Sequence[str]) -> dict[str, str]:
    """Name the members of the last known list that are on none of the inventory's hosts.

    Args:
        sight: what was seen.
        lists: `initial-cluster` of the configurations on the hosts, as they were when the cluster last converged.

    Returns:
        For each member's name where it was known to be: its peer URL, or its id.
    """
    here = {member.peer_url for member in sight.cluster.members}
    ids = {f"{state.data.identity.member:016x}" for state in sight.hosts.values() if state.data.identity}
    if sight.seen is not None:
        return {
            one.name or ",".join(one.peer_urls): ",".join(one.peer_urls)
            for one in sight.seen.members
            if not here & set(one.peer_urls) and f"{one.id:016x}" not in ids
        }
    listed = {
        name: url
        for text in lists
        for part in text.split(",")
        for name, _, url in [part.strip().partition("=")]
        if url
    }
    # A member that answers without a quorum may know of one that joined since.
    told = [one for state in sight.hosts.values() if (one := state.endpoint.members)]
    listed |= {
        one.name or ",".join(one.peer_urls): ",".join(one.peer_urls)
        for answer in told
        for one in listed_members(answer)
        if not here & set(one.peer_urls) and f"{one.id:016x}" not in ids
    }
    if listed:
        return {name: url for name, url in listed.items() if url not in here}
    return {
        name: f"id {number}"
        for record in sight.records.values()
        for name, number in record.members.items()
        if number not in ids and number not in {f"{member_id([url], record.token):016x}" for url in here}
    }


def members_question(path: str) -> Script:
    """Ask a host for the members that its configuration names.

    Args:
        path: etcd's configuration file, or the manifest of a static pod, in which the same is a flag.
    """
    keys = r"s/^initial-cluster: *//p; s/^ *- *['\"]\{0,1\}--initial-cluster=//p"
    return Script("members", f"sed -n {shlex.quote(keys)} {shlex.quote(path)}")


def _last_lists(run: ClusterRun, sight: Sight) -> tuple[list[str], list[Complaint]]:
    if sight.seen is not None:
        return [], []  # what answers lists its members itself
    formed = [member for member in sight.cluster.members if sight.hosts[member.host].formed]
    jobs = [
        gevent.spawn(ask, run, member.host, members_question(member.settings.config_path))
        for member in formed
    ]
    gevent.joinall(jobs)
    lists = {
        member.host: [text for line in job.get() if (text := line.strip().strip("'\""))]
        for member, job in zip(formed, jobs, strict=True)
    }
    complaints = [
        Complaint(
            member.host,
            f"no list of members in {member.settings.config_path}, though this member had formed",
            "the one with which it ran last, as a member may run that is on none of these hosts",
            "run again; where it stays so, bring the file back",
        )
        for member in formed
        if not lists[member.host]
    ]
    return [text for told in lists.values() for text in told], complaints
