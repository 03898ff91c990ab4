"""Who leaves a cluster, whether the others can bear it, and what is left on its host; without I/O."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from etcd_steward.decisions import NO_ROOT, disputed_list, quorum
from etcd_steward.desired import PROFILE, record_path
from etcd_steward.errors import Complaint
from etcd_steward.observed import HostState, ListedMember, disputed
from etcd_steward.run import Sight
from etcd_steward.schedule import Schedule
from etcd_steward.settings import Settings
from etcd_steward.topology import Member

__all__ = ["Count", "Leaving", "choose_leaving", "left_behind", "observer_of"]


@dataclass(frozen=True)
class Count:
    """The arithmetic of one member's leaving.

    Args:
        voters: how many vote now.
        healthy: how many of them answer.
        votes: whether the one that leaves is a voter; a learner is not.
        well: whether it answers.
    """

    voters: int
    healthy: int
    votes: bool = True
    well: bool = True

    @property
    def voters_after(self) -> int:
        """How many vote afterwards."""
        return self.voters - self.votes

    @property
    def healthy_after(self) -> int:
        """How many of those answer."""
        return self.healthy - (self.votes and self.well)

    def __str__(self) -> str:
        return (
            f"voters {self.voters} -> {self.voters_after}, "
            f"quorum {quorum(self.voters)} -> {quorum(self.voters_after)}, "
            f"healthy {self.healthy} -> {self.healthy_after}"
        )

    def against(self, *, consent: bool) -> tuple[str, str, str] | None:
        """Say why the member must not leave now.

        A healthy member leaves only while all others are healthy. One that is down takes no health away with it, so
        the others only have to be a quorum, before and after: else two lost hosts out of five could never be removed.

        Args:
            consent: whether the operator accepts a cluster that bears no loss.

        Returns:
            What was found, what was wanted and what to do next; None where it may leave.
        """
        if not self.votes:
            return None
        if self.voters_after == 0:
            return f"the last voter ({self})", "others that stay", "see docs/reset.md to end a cluster"
        if self.well and self.healthy_after < self.voters_after:
            return (
                f"other voters down ({self})",
                "all others healthy while a healthy member leaves",
                "mend them, or remove those that are lost first",
            )
        if self.healthy < quorum(self.voters) or self.healthy_after < quorum(self.voters_after):
            return f"too few healthy voters ({self})", "a quorum before and after", "mend the others first"
        if self.voters_after == 1 and not consent:
            return (
                f"2 voters, of which one would be left ({self})",
                "consent, as one voter bears no loss and every restart of it is an outage",
                "set etcd_allow_outage = True, or add a member first",
            )
        return None


@dataclass(frozen=True)
class Leaving:
    """Who leaves, and what is left to do for it.

    Args:
        called: how the operator named it.
        listed: its entry in the cluster's list; None where it is gone.
        member: its host's member; None where the inventory does not know it.
        behind: what its host still has of it; empty where nothing is to be done there, or nothing can be.
        count: the arithmetic; None where it is gone from the list.
        complaints: what forbids it.
    """

    called: str
    listed: ListedMember | None = None
    member: Member | None = None
    behind: tuple[str, ...] = ()
    count: Count | None = None
    complaints: tuple[Complaint, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything is to be done."""
        return self.listed is not None or bool(self.behind)

    @property
    def name(self) -> str:
        """What to call it."""
        if self.listed is not None:
            return f"{self.listed.name or 'unstarted member'} ({self.listed.id:016x})"
        return self.member.name if self.member is not None else self.called

    def essence(self) -> object:
        """Return what must be the same when it is looked at again."""
        return self.listed, self.member, self.behind


def left_behind(settings: Settings, state: HostState) -> tuple[str, ...]:
    """Say what a host still has of a member.

    Args:
        settings: the host's settings.
        state: what the probe told.

    Returns:
        `service`, `schedule`, `data`, and the paths of configuration, profile and record; certificates do not count.
    """
    if not state.reached:
        return ()
    found = []
    if state.service.exists and (state.service.running or state.service.enabled or state.processes):
        found.append("service")
    if Schedule(settings.etcd_service, state.init, wanted=False).lacking(state):
        found.append("schedule")
    if state.data.value != "empty":
        found.append("data")
    files = [
        path for path in (settings.config_path, record_path(settings.etcd_cluster)) if path in state.files
    ]
    if PROFILE in state.files and state.files[PROFILE].ours:
        files.insert(0, PROFILE)
    return (*found, *files)


def observer_of(sight: Sight, leaving: Leaving) -> Member | None:
    """Choose the member that is asked, never the one that leaves.

    Args:
        sight: what was seen.
        leaving: who leaves.

    Returns:
        A healthy member, or None.
    """
    others = [one for one in sight.cluster.members if leaving.member is None or one != leaving.member]
    return next((one for one in others if sight.hosts[one.host].endpoint.healthy), None)


def choose_leaving(
    sight: Sight, called: str | None, healthy: Collection[int], limit: Collection[str]
) -> Leaving:
    """Find the member that the operator named, in the cluster's own list and in the inventory.

    Args:
        sight: what was seen.
        called: its name, its id or its peer URL; compared as a whole, never in part (kubespray#11482).
        healthy: ids of the members that answer.
        limit: the hosts that this run may change.

    Returns:
        Who leaves, with everything that forbids it.
    """
    cluster = sight.cluster
    if called is None:
        text = "the name, id or peer URL of one member"
        return _refused("", Complaint(cluster.name, "no etcd_member", text, "add --data etcd_member=NAME"))
    if sight.seen is None:
        found, cure = "no quorum, so that no member can be removed", "bring members back first"
        standing = sight.standing
        if standing.value == "lost":
            cure += "; if they are lost, restore from a snapshot"
        else:
            found = f"no quorum that answers ({standing}), so that no member can be removed"
        return _refused(called, Complaint(cluster.name, found, "a cluster that answers", cure))
    listed = [one for one in sight.seen.members if _is_called(called, one)]
    hosts = [one for one in cluster.members if called in {one.name, one.host, one.peer_url}]
    hosts += [one for one in cluster.members if _data_is_of(sight, one, called) and one not in hosts]
    listed += [
        one for one in sight.seen.members if one not in listed and any(_belongs(one, host) for host in hosts)
    ]
    hosts += [
        host for host in cluster.members if host not in hosts and any(_belongs(one, host) for one in listed)
    ]
    complaints = _ambiguous(sight, called, listed, hosts)
    if complaints:
        return Leaving(called, complaints=tuple(complaints))
    entry, member = next(iter(listed), None), next(iter(hosts), None)
    complaints = _other_clusters(sight) + _unbelieved(sight, entry, member)
    behind: tuple[str, ...] = ()
    if member is not None:
        behind = left_behind(member.settings, sight.hosts[member.host])
        complaints += _host(sight, entry, member)
        if sight.hosts[member.host].reached and member.host not in limit and (entry is not None or behind):
            found = "its host within reach, but left out by --limit or --exclude"
            wanted = "its etcd stopped and its data aside as well"
            complaints.append(Complaint(member.host, found, wanted, "run without them"))
    count = _count(sight.seen.members, entry, healthy) if entry is not None else None
    risk = count.against(consent=cluster.settings.etcd_allow_outage) if count is not None else None
    if risk is not None:
        complaints.append(Complaint(cluster.name, *risk))
    leaving = Leaving(called, entry, member, behind, count, tuple(complaints))
    if leaving.anything and not complaints and observer_of(sight, leaving) is None:
        text = "a healthy member of the inventory besides the one that leaves"
        return _refused(called, Complaint(cluster.name, "nobody to ask", text, "mend one, then run again"))
    return leaving


def _refused(called: str, complaint: Complaint) -> Leaving:
    return Leaving(called, complaints=(complaint,))


def _is_called(called: str, listed: ListedMember) -> bool:
    return called == listed.name or called in listed.peer_urls or _number(called) == listed.id


def _number(called: str) -> int | None:
    return int(called, 16) if re.fullmatch(r"(0x)?[0-9a-f]{1,16}", called) else None


def _data_is_of(sight: Sight, member: Member, called: str) -> bool:
    identity = sight.hosts[member.host].data.identity
    return identity is not None and identity.member == _number(called)


def _belongs(listed: ListedMember, member: Member) -> bool:
    return listed.peer_urls == (member.peer_url,)


def _ambiguous(sight: Sight, called: str, listed: list[ListedMember], hosts: list[Member]) -> list[Complaint]:
    name = sight.cluster.name
    everybody = sorted(sight.seen.members, key=lambda one: one.name) if sight.seen else []
    known = ", ".join(f"{one.name or 'unstarted'} ({one.id:016x})" for one in everybody)
    if len(listed) > 1 or len(hosts) > 1:
        told = [f"{one.name} ({one.id:016x}, {', '.join(one.peer_urls)})" for one in listed]
        told += [f"host {one.host} ({one.peer_url})" for one in hosts]
        return [Complaint(name, f"{'; '.join(told)} for {called}", "one member", "name it by its id")]
    if listed and hosts and not _belongs(listed[0], hosts[0]):
        found = f"{called} listed with {', '.join(listed[0].peer_urls)}"
        wanted = f"{hosts[0].peer_url}, as the inventory has it"
        hint = f"correct etcd_name or etcd_address; or name the member by its id, {listed[0].id:016x}"
        return [Complaint(hosts[0].host, found, wanted, hint)] if _number(called) is None else []
    once = {word for record in sight.records.values() for pair in record.members.items() for word in pair}
    number = _number(called)
    if not listed and not hosts and not {called, f"{number or 0:016x}"} & once:
        return [Complaint(name, f"no member {called}", f"one of {known}", "correct etcd_member")]
    return []


def _other_clusters(sight: Sight) -> list[Complaint]:
    ids = {place: record.id for place, record in sight.records.items()}
    if sight.seen is not None:
        ids[f"the running cluster (asked on {sight.seen.source})"] = f"{sight.seen.id:016x}"
    if len(set(ids.values())) <= 1:
        return []
    told = "; ".join(f"{place}: {number}" for place, number in ids.items())
    hint = "this is the wrong inventory, the wrong controller or a reused host: nothing is done until that is clear"
    return [Complaint(sight.cluster.name, f"more than one cluster id ({told})", "one", hint)]


def _unbelieved(sight: Sight, entry: ListedMember | None, member: Member | None) -> list[Complaint]:
    """Refuse to take out by a list that others contradict, by what they list or by the data on their host."""
    told = disputed(sight.hosts)
    if told:
        return [disputed_list(sight.cluster.name, told)]
    carriers = [
        host
        for host, state in sight.hosts.items()
        if entry is not None
        and state.data.identity is not None
        and state.data.identity.member == entry.id
        and (member is None or host != member.host)
    ]
    if entry is None or not carriers:
        return []
    return [
        Complaint(
            ", ".join(carriers),
            f"the data of member {entry.id:016x}, which the cluster lists as {entry.name or 'unstarted'} "
            f"at {', '.join(entry.peer_urls)}",
            "the data of a member that stays",
            "find out which host is this member: see docs/troubleshooting.md; nothing is done until then",
        )
    ]


def _host(sight: Sight, entry: ListedMember | None, member: Member) -> list[Complaint]:
    state, seen = sight.hosts[member.host], sight.seen
    identity = state.data.identity
    if seen is None or not state.reached:
        return []
    if state.uid != 0:
        return [Complaint(member.host, *NO_ROOT)]
    if identity is None:
        return []
    own = entry.id if entry is not None else None
    current = {one.id for one in seen.members}
    if identity.cluster != seen.id or (
        identity.member != own and (own is not None or identity.member in current)
    ):
        found = f"data of member {identity.member:016x} of cluster {identity.cluster:016x}"
        wanted = (
            f"data of {f'{own:016x}' if own else 'the removed member'} of cluster {seen.id:016x}, or none"
        )
        hint = (
            "find out whose data it is; to leave this host alone, add --exclude and name the member by its id"
        )
        return [Complaint(member.host, found, wanted, hint)]
    return []


def _count(members: Collection[ListedMember], entry: ListedMember, healthy: Collection[int]) -> Count:
    voters = [one.id for one in members if not one.learner]
    return Count(len(voters), len(set(voters) & set(healthy)), not entry.learner, entry.id in healthy)
