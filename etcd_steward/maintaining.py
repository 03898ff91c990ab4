"""What a cluster's databases need: compaction, defragmentation, and an end to the alarm NOSPACE; without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from etcd_steward import advisories, versions
from etcd_steward.decisions import NO_ROOT, quorum
from etcd_steward.errors import Complaint
from etcd_steward.observed import HostState
from etcd_steward.refused import first
from etcd_steward.rights import lacking
from etcd_steward.run import Sight
from etcd_steward.settings import Settings
from etcd_steward.topology import Member
from etcd_steward.versions import Version

__all__ = ["DEFAULT_QUOTA", "Care", "Database", "choose_care", "unsafe_defragmentation"]

# etcd's own default (storage/quota.go); 0 means this default, a negative quota none.
DEFAULT_QUOTA = 2 * 2**30
# Beside the second database: the write-ahead log goes on meanwhile.
_SPARE_MB = 64
_TROUBLE = "see docs/troubleshooting.md"


@dataclass(frozen=True)
class Database:
    """One member's database.

    Args:
        size: bytes of the file.
        used: bytes of it that hold something.
        quota: bytes at which etcd takes no more writes; 0 for none.
    """

    size: int
    used: int
    quota: int

    @classmethod
    def of(cls, status: Mapping[str, Any], settings: Settings) -> Database:
        """Read it from a member's status.

        Args:
            status: the decoded answer of `endpoint status`; 3.6 tells the quota as well.
            settings: the member's settings.
        """
        size = int(status.get("dbSize", 0))
        quota = int(
            status.get("dbSizeQuota") or settings.etcd_config.get("quota-backend-bytes") or DEFAULT_QUOTA
        )
        return cls(size, int(status.get("dbSizeInUse", size)), max(0, quota))

    @property
    def fill(self) -> float:
        """Which part of the quota the file takes."""
        return self.size / self.quota if self.quota else 0.0

    @property
    def fragmentation(self) -> float:
        """Which part of the file holds nothing."""
        return 1 - self.used / self.size if self.size else 0.0

    def is_due(self, settings: Settings) -> bool:
        """Say whether it is worth the pause: it fills much of its quota, and much of it is unused.

        Args:
            settings: the thresholds.
        """
        return (
            self.fill >= settings.etcd_maintain_quota_fraction
            and self.fragmentation >= settings.etcd_maintain_fragmentation
        )

    def __str__(self) -> str:
        quota = f"{self.fill:.0%} of its quota" if self.quota else "no quota"
        return f"{self.size / 2**20:.1f} MiB, {quota}, {self.fragmentation:.0%} unused"


def unsafe_defragmentation(version: Version) -> str:
    """Say why a release must not defragment.

    Args:
        version: the release that runs.

    Returns:
        The reason with its source; empty for a release that is right.
    """
    found = [one for one in advisories.against(version) if one.bears_on == "defragment"]
    return "; ".join(f"{one.told(version)} ({one.id})" for one in found)


@dataclass(frozen=True)
class Care:
    """What is done for a cluster.

    Args:
        nospace: the alarm is raised, so nothing is written.
        compact_to: the revision up to which history is forgotten; 0 for none.
        order: the hosts whose members are defragmented, the leader last.
        databases: each member's database by host, as it was seen.
        complaints: what forbids it.
    """

    nospace: bool = False
    compact_to: int = 0
    order: tuple[str, ...] = ()
    databases: Mapping[str, Database] = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.nospace or self.compact_to or self.order)

    def essence(self) -> object:
        """Return what must be the same when it is looked at again; the revision goes on meanwhile."""
        return self.nospace, self.compact_to > 0, self.order


def choose_care(sight: Sight, limit: Collection[str]) -> Care:
    """Decide what is to be done.

    The alarm NOSPACE, which is ended here, makes nobody unhealthy: see `healthy` in templates/ctl.sh.

    Args:
        sight: what was seen.
        limit: the hosts that this run may change.

    Returns:
        What is done, with everything that forbids it.
    """
    cluster, settings = sight.cluster, sight.cluster.settings
    statuses = {host: state.endpoint.status for host, state in sight.hosts.items() if state.endpoint.status}
    alarms = {alarm for state in sight.hosts.values() for alarm in state.endpoint.alarms}
    complaints = [one for member in cluster.members for one in _unwell(member, sight.hosts[member.host])]
    complaints += _several(sight, statuses)
    if sight.seen is not None and not alarms:
        # A clone or an unfinished restore: what no verb may change. Without room for a write it cannot be mended first.
        complaints += sight.decide().refusals
    if alarms - {"NOSPACE"}:
        found = f"the alarm {', '.join(sorted(alarms - {'NOSPACE'}))}"
        hint = f"it is never disarmed here: find the member that differs; {_TROUBLE}"
        complaints.append(Complaint(cluster.name, found, "members that hold the same", hint))
    databases = {
        member.host: Database.of(statuses[member.host], member.settings)
        for member in cluster.members
        if member.host in statuses
    }
    nospace = "NOSPACE" in alarms
    revision = max((int(status["header"].get("revision", 0)) for status in statuses.values()), default=0)
    compacting = nospace or settings.etcd_compact
    compact_to = max(0, revision - settings.etcd_compact_keep) if compacting else 0
    # What a compaction frees shows only afterwards: then the rule is applied again.
    full = settings.etcd_maintain_quota_fraction
    due = [
        host
        for host, one in databases.items()
        if host in limit
        if nospace or one.is_due(settings) or (compact_to and one.fill >= full)
    ]
    if nospace and not set(sight.hosts) <= set(limit):
        found, wanted = (
            "the alarm NOSPACE and --limit or --exclude",
            "all members, as each has to give its space back",
        )
        complaints.append(Complaint(cluster.name, found, wanted, "run without them"))
    # A member that is only silent is told of already.
    complaints += _unknown(sight, statuses) if nospace and not complaints else []
    order = _order(sight, statuses, due)
    if order:
        complaints += _unsafe(sight, statuses, due) + _room(sight, databases, due)
        complaints += [] if nospace else _outage(sight)
    if complaints:
        return Care(databases=databases, complaints=tuple(dict.fromkeys(complaints)))
    return Care(nospace, compact_to, order, databases)


def _unwell(member: Member, state: HostState) -> list[Complaint]:
    if not state.reached:
        found, wanted = f"no answer ({state.problem})", "every member within reach"
        return [Complaint(member.host, found, wanted, first(state.mend))]
    if state.uid != 0:
        return [Complaint(member.host, *NO_ROOT)]
    refused = lacking(member, state)
    if refused is not None:
        return [refused]
    answers = state.endpoint.status is not None and state.endpoint.members is not None
    # Under another alarm than NOSPACE nobody is healthy, and the alarm is what is told.
    if not answers or not (state.endpoint.healthy or set(state.endpoint.alarms) - {"NOSPACE"}):
        said = state.endpoint.error or state.endpoint.denied or "no answer"
        found, wanted = f"an etcd that does not serve ({said})", "every member serving"
        return [Complaint(member.host, found, wanted, "mend it first; see deploys/status.py")]
    return []


def _several(sight: Sight, statuses: Mapping[str, Mapping[str, Any]]) -> list[Complaint]:
    ids = sorted({int(status["header"]["cluster_id"]) for status in statuses.values()})
    if len(ids) <= 1:
        return []
    found = f"members of several clusters ({', '.join(f'{number:016x}' for number in ids)})"
    hint = "nothing is done until it is clear which hosts belong together"
    return [Complaint(sight.cluster.name, found, "one cluster", hint)]


def _unknown(sight: Sight, statuses: Mapping[str, Mapping[str, Any]]) -> list[Complaint]:
    """Name the voters that no host of the inventory runs: they would stay as full as they are."""
    answered = {int(status["header"]["member_id"]) for status in statuses.values()}
    wanted = "hosts of the inventory alone, as each has to give its space back before the alarm is ended"
    return [
        Complaint(
            sight.cluster.name,
            f"the alarm NOSPACE and a voter that no host of the inventory runs ({one.name or 'unstarted'}, {one.id:016x})",
            wanted,
            f"add its host to the inventory, or take it out with deploys/remove.py --data etcd_member={one.id:016x}",
        )
        for one in (sight.seen.voters if sight.seen else ())
        if one.id not in answered
    ]


def _order(sight: Sight, statuses: Mapping[str, Mapping[str, Any]], due: list[str]) -> tuple[str, ...]:
    def leads(host: str) -> bool:
        status = statuses[host]
        return int(status.get("leader", 0)) == int(status["header"]["member_id"])

    names = {member.host: member.name for member in sight.cluster.members}
    return tuple(sorted(due, key=lambda host: (leads(host), names[host])))


def _unsafe(sight: Sight, statuses: Mapping[str, Mapping[str, Any]], due: list[str]) -> list[Complaint]:
    if sight.cluster.settings.etcd_force_version:
        return []
    complaints = []
    for host in due:
        version = str(statuses[host].get("version"))
        try:
            reason = unsafe_defragmentation(versions.parse(version))
        except ValueError:
            reason = "a release that etcd-steward does not know"
        if reason:
            hint = "upgrade first (docs/upgrade.md), or insist with etcd_force_version = True"
            complaints.append(
                Complaint(host, f"etcd {version} ({reason})", "one that defragments safely", hint)
            )
    return complaints


def _outage(sight: Sight) -> list[Complaint]:
    cluster = sight.cluster
    voters = sight.voters
    if voters - 1 >= quorum(voters) or cluster.settings.etcd_allow_outage:
        return []
    found = f"{voters} voters, so that nobody can write while one of them defragments"
    hint = "set etcd_allow_outage = True: it takes some seconds for each GiB"
    return [Complaint(cluster.name, found, "consent, or at least 3 voters", hint)]


def _room(sight: Sight, databases: Mapping[str, Database], due: list[str]) -> list[Complaint]:
    complaints = []
    for host in due:
        state, needed = sight.hosts[host], databases[host].used // 2**20 + _SPARE_MB
        if state.free_mb < needed:
            found, wanted = f"{state.free_mb} MB free on {state.mount}", f"{needed} MB for a second database"
            complaints.append(Complaint(host, found, wanted, "free some space, then run again"))
    return complaints
