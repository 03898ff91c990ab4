"""Members that are known, but on none of the inventory's hosts: two clusters must not serve the same clients."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import gevent

from etcd_steward.errors import Complaint
from etcd_steward.observed import listed_members
from etcd_steward.shell import Script
from etcd_steward.talk import NO_ANSWER, ask, ctl, why_unreached
from etcd_steward.topology import listed_urls, member_id

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
    complaints += _left_behind(run, sight, lists)
    known = known_elsewhere(sight, lists)
    given = sight.cluster.settings.etcd_restore_without
    missing = [name for name in known if name not in given]
    # With a list that nobody could read, a name may be right all the same; and a run that was cut has written new records.
    judged = not complaints and not any(record.open for record in sight.records.values())
    moved = _moved(sight, lists).values()
    unknown = [name for name in given if name not in known and name not in moved] if judged else []
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
    listed = listed_urls(lists)
    # A member that answers without a quorum may know of one that joined since.
    told = [one for state in sight.hosts.values() if (one := state.endpoint.members)]
    listed |= {
        one.name or ",".join(one.peer_urls): ",".join(one.peer_urls)
        for answer in told
        for one in listed_members(answer)
        if not here & set(one.peer_urls) and f"{one.id:016x}" not in ids
    }
    if listed:
        # Whoever's data lies on a host of the inventory is that host's member, wherever it was: the restore stops it there.
        return {
            name: url for name, url in listed.items() if url not in here and _number(sight, name) not in ids
        }
    return {
        name: f"id {number}"
        for record in sight.records.values()
        for name, number in record.members.items()
        if number not in ids and number not in {f"{member_id([url], record.token):016x}" for url in here}
    }


def _number(sight: Sight, name: str) -> str:
    return next((one.members[name] for one in sight.records.values() if name in one.members), "unknown")


def _moved(sight: Sight, lists: Sequence[str]) -> dict[str, str]:
    """Name the members whose data lies on a host of the inventory that has another address, by their old peer URL."""
    here = {member.peer_url for member in sight.cluster.members}
    ids = {f"{state.data.identity.member:016x}" for state in sight.hosts.values() if state.data.identity}
    return {
        url: name
        for name, url in listed_urls(lists).items()
        if url not in here and _number(sight, name) in ids
    }


def _left_behind(run: ClusterRun, sight: Sight, lists: Sequence[str]) -> list[Complaint]:
    """Complain of old addresses of members at which somebody still answers: this host would be a clone of what runs there."""
    given = sight.cluster.settings.etcd_restore_without
    left = {url: name for url, name in _moved(sight, lists).items() if name not in given}
    if not left or sight.seen is not None:
        return []
    observer = next(one for one in sight.cluster.members if sight.hosts[one.host].data.identity)
    found: dict[str, str] = {}
    for line in ask(run, observer.host, ctl(observer, "peers.sh", role="peer", peers=list(left), seconds=3)):
        _, _, rest = line.partition(" ")
        url, _, said = rest.partition(" ")
        if url in left:
            found[url] = why_unreached(said)
    return [
        Complaint(
            sight.cluster.name,
            f"{'an answer' if url in found else 'no way to ask'} at {url}, where {name} was, though its data lies on another host now",
            "nobody there, as two clusters would serve the same clients",
            f"stop the etcd at {url} for good, then run again; or, where that is another program, add "
            f"--data etcd_restore_without={name}",
        )
        for url, name in left.items()
        if url not in found or not (found[url].startswith("Error while dialing") or found[url] == NO_ANSWER)
    ]


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
