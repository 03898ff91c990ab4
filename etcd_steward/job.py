"""All the work of one run of `deploys/etcd.py`, computed from what was seen and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from etcd_steward import configuration, versions
from etcd_steward.authority import PkiError
from etcd_steward.decisions import JOINING
from etcd_steward.desired import Desired, desired
from etcd_steward.errors import Complaint
from etcd_steward.node import Lack, lacking
from etcd_steward.observed import HostState
from etcd_steward.plan import Plan
from etcd_steward.raft_snapshots import frequent, leads_to_3_7
from etcd_steward.record import Record
from etcd_steward.rotation import Phase, rotated
from etcd_steward.run import Sight
from etcd_steward.schedule import unscheduled
from etcd_steward.topology import Member
from etcd_steward.versions import Version
from etcd_steward.work import ROLES, Work, work

__all__ = ["Job", "Scope", "in_turns", "is_down", "linked_release", "make_job"]

_NOT_YET_MADE = ("made when this is executed\n", "made when this is executed\n")


@dataclass(frozen=True)
class Scope:
    """What a verb may change.

    Args:
        target: the release that running members are brought to; otherwise they keep theirs.
        certificates_only: nothing but certificates is made anew, and nobody is restarted.
        renew_all: every certificate is made anew, whatever it looks like.
        phase: the phase of a rotation of the authorities.
        any_release: its promise holds whatever release members run, so that another than `etcd_version` fails nothing.
        raft_snapshots: members on 3.6 run with a low `snapshot-count` for a while; where no target is given, it is all
            that is changed, and only on them.
    """

    target: Version | None = None
    certificates_only: bool = False
    renew_all: bool = False
    phase: Phase | None = None
    any_release: bool = False
    raft_snapshots: bool = False


@dataclass(frozen=True)
class Job:
    """What a run will do.

    Args:
        sight: what was seen.
        plan: what was decided.
        record: the cluster's record; None where nothing is known and nothing will be made.
        gate: the cluster is being made, so it must pass its gate before the record is closed.
        wanted: what should lie on each reached host.
        settled: the same once the record is closed.
        works: what is left to do on each host.
        order: the hosts whose members need a turn, in the order in which they get it.
        problems: settings that do not fit the release that a member runs.
        joins: the hosts whose members join, finish joining, are replaced or move, in that order.
        unscheduled: what the schedule of snapshots lacks, for each host where it lacks anything.
        unprepared: what hosts lack to run static pods, for each that lacks anything.
    """

    sight: Sight
    plan: Plan
    record: Record | None
    gate: bool
    wanted: Mapping[str, Desired]
    settled: Mapping[str, Desired]
    works: Mapping[str, Work]
    order: tuple[str, ...]
    problems: tuple[Complaint, ...] = ()
    joins: tuple[str, ...] = ()
    unscheduled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unprepared: Mapping[str, Lack] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether anything is changed anywhere."""
        return bool(
            self.gate
            or self.joins
            or self.unscheduled
            or self.unprepared
            or any(one.anything for one in self.works.values())
        )

    @property
    def mending(self) -> tuple[str, ...]:
        """The hosts whose member is down and is brought back: first those that have their data, then the others.

        None of them can wait for a turn of a healthy member, as that waits for all of them.
        """
        down = [host for host in self.order if is_down(self.sight.hosts[host])]
        mended = [host for host in self.joins if self.plan.decisions[host].action != "join"]
        return tuple(dict.fromkeys([*down, *mended]))

    @property
    def sequence(self) -> tuple[str, ...]:
        """All hosts whose member gets a turn, joins or moves, in the order in which they do; newcomers last."""
        return tuple(dict.fromkeys([*self.mending, *self.order, *self.joins]))

    def essence(self) -> object:
        """Return what must be the same when it is looked at again before execution."""
        return (
            {host: (decision.row, decision.action) for host, decision in self.plan.decisions.items()},
            {
                host: (
                    one.stage,
                    one.files,
                    tuple(one.certificates),
                    one.link,
                    one.start,
                    one.restart,
                    one.turn,
                )
                for host, one in self.works.items()
            },
            self.order,
            self.joins,
            self.unscheduled,
            self.unprepared,
        )


def make_job(
    sight: Sight, plan: Plan, now: datetime, record: Record | None = None, scope: Scope | None = None
) -> Job:
    """Work out what a run will do.

    Args:
        sight: what was seen.
        plan: what was decided.
        now: the controller's time.
        record: the record that was opened earlier in this run, for a cluster that is being made.
        scope: what the verb may change; otherwise everything but the release.

    Returns:
        The job.
    """
    scope = scope or Scope()
    if scope.phase is not None:
        sight = replace(sight, credentials=rotated(sight.credentials, scope.phase))
    record = record or _record(sight, plan)
    texts = sight.credentials.texts or _NOT_YET_MADE
    wanted: dict[str, Desired] = {}
    settled: dict[str, Desired] = {}
    works: dict[str, Work] = {}
    problems: list[Complaint] = []
    target = versions.parse(sight.cluster.settings.etcd_version)
    for member in sight.cluster.members:
        state = sight.hosts[member.host]
        decision = plan.decisions[member.host]
        judgeable = state.reached and state.init != "none" and state.machine in versions.SUPPORTED_ARCHES
        if not judgeable or record is None:
            works[member.host] = Work()
            continue
        version = (
            target
            if decision.action == "bootstrap"
            else scope.target or _version(sight, member, decision.action, target)
        )
        if _unreleased(state):
            problems.append(_strange(member, state))
            works[member.host] = Work()
            continue
        unfit = configuration.check(member.settings.etcd_config, version)
        if unfit:
            problems += [_unfit(member, version, text) for text in unfit]
            works[member.host] = Work()
            continue
        own = replace(member, settings=frequent(member.settings)) if scope.raft_snapshots else member
        wanted[member.host] = desired(sight.cluster, own, state, record, version, texts)
        settled[member.host] = (
            desired(sight.cluster, own, state, record.closed(), version, texts)
            if record.open
            else wanted[member.host]
        )
        if scope.raft_snapshots and scope.target is None and not leads_to_3_7(version):
            works[member.host] = Work()
            continue
        left = work(
            member,
            state,
            decision.action,
            wanted[member.host],
            sight.credentials.trusted(),
            ready=_ready(sight, member),
            now=now,
        )
        works[member.host] = _within(scope, left)
    return Job(
        sight=sight,
        plan=plan,
        record=record,
        gate=record is not None and record.open,
        wanted=wanted,
        settled=settled,
        works=works,
        order=tuple(host for host in in_turns(sight) if works[host].turn),
        problems=tuple(problems),
        joins=tuple(host for action in JOINING for host in plan.acting(action) if scope == Scope()),
        unscheduled=unscheduled(sight.cluster, sight.hosts) if scope == Scope() else {},
        unprepared=_unprepared(sight) if scope == Scope() else {},
    )


def _unprepared(sight: Sight) -> dict[str, Lack]:
    lacks = {
        member.host: lacking(member.settings, sight.hosts[member.host]) for member in sight.cluster.members
    }
    return {host: lack for host, lack in lacks.items() if lack.anything}


def _within(scope: Scope, left: Work) -> Work:
    if not scope.certificates_only:
        # Only the phase between them signs: a certificate of an authority that some do not trust yet would cut a member off.
        return left if scope.phase is None else replace(left, certificates={})
    asked = dict.fromkeys(ROLES, ("renewal was asked for",)) if scope.renew_all else {}
    certificates = asked | dict(left.certificates)
    return Work(certificates=certificates, turn=bool(certificates))


def _strange(member: Member, state: HostState) -> Complaint:
    return Complaint(
        member.host,
        f"etcd {(state.endpoint.status or {}).get('version')} running, which is no release",
        f"a release such as {versions.NEWEST['3.5']}",
        "bring this member to a release by hand, then run again",
    )


def _unfit(member: Member, version: Version, text: str) -> Complaint:
    return Complaint(
        member.host,
        f"etcd_config: {text}",
        f"keys that etcd {version} knows, which this member runs",
        "correct etcd_config; or, where it is written for the release that is to come, run deploys/upgrade.py at once, "
        "which brings both",
    )


def _ready(sight: Sight, member: Member) -> Mapping[str, tuple[str, str]] | None:
    if sight.credentials.signing:
        return None
    try:
        return {
            role: (pair.certificate_pem, pair.key_pem)
            for role, pair in sight.credentials.ready(member).items()
        }
    except PkiError:
        return {}


def _record(sight: Sight, plan: Plan) -> Record | None:
    forget = sight.cluster.settings.etcd_forget_cluster
    known = [record for record in sight.records.values() if record.id != forget]
    if known:
        return min(known, key=lambda record: record.open)  # they are closed one after the other
    if plan.acting("bootstrap"):
        return Record.new(sight.cluster)
    ids = {state.data.identity.cluster for state in sight.hosts.values() if state.data.identity}
    if sight.seen is not None:
        ids = {sight.seen.id}
    if len(ids) != 1:
        return None
    # A cluster whose record was lost everywhere: its token only mattered for its first start.
    number = f"{ids.pop():016x}"
    return Record(sight.cluster.name, number, f"{sight.cluster.name}-{number[:8]}", open=False, members={})


def _version(sight: Sight, member: Member, action: str, target: Version) -> Version:
    """Follow the version that runs; else the one that is linked; else that of the others.

    Whoever begins anew follows the others: what is linked there may be of an earlier life.
    """
    state = sight.hosts[member.host]
    others = [_running(one) for one in sight.hosts.values()]
    linked = linked_release(member, state)
    told = [
        _running(state),
        *(
            [*others, linked]
            if action in {"join", "replace"} or state.data.value == "empty"
            else [linked, *others]
        ),
    ]
    told += [linked_release(other, sight.hosts[other.host]) for other in sight.cluster.members]
    return next((version for version in told if version is not None), target)


def _running(state: HostState) -> Version | None:
    try:
        return versions.parse((state.endpoint.status or {}).get("version"))
    except ValueError:
        return None


def _unreleased(state: HostState) -> bool:
    return bool((state.endpoint.status or {}).get("version")) and _running(state) is None


def linked_release(member: Member, state: HostState) -> Version | None:
    """Say which release a member's links name, and so with which it would start.

    Args:
        member: the member.
        state: what the probe of its host told.

    Returns:
        The release, or None where the links name none of ours.
    """
    head, _, tail = state.links.get("etcd", "").removeprefix(f"{member.settings.etcd_prefix}/").partition("/")
    try:
        return versions.parse(head) if tail == "etcd" else None
    except ValueError:
        return None


def in_turns(sight: Sight) -> tuple[str, ...]:
    """Order the hosts as their members get turns, whatever the verb: down members first, then followers, the leader last.

    Args:
        sight: what was seen.

    Returns:
        All hosts of the cluster.
    """
    leader = sight.seen.leader if sight.seen else 0

    def rank(member: Member) -> tuple[bool, bool, str]:
        identity = sight.hosts[member.host].data.identity
        leads = identity is not None and identity.member == leader
        return not is_down(sight.hosts[member.host]), leads, member.name

    return tuple(member.host for member in sorted(sight.cluster.members, key=rank))


def is_down(state: HostState) -> bool:
    """Tell whether a host's member is down, so that its turn may mend it.

    Args:
        state: what the probe told.
    """
    return not (state.service.running and state.endpoint.healthy)
