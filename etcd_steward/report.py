"""What an operator is told of a cluster: a judgement of every member, and of the cluster as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pyinfra import logger

from etcd_steward import advisories, certificate_report, configuration, snapshot_report, storage, versions
from etcd_steward.errors import Complaint
from etcd_steward.gates import downgrading, stray_downgrade
from etcd_steward.leftovers import notes as left_behind
from etcd_steward.machines import same_machines
from etcd_steward.observed import UNTENDED, see_cluster
from etcd_steward.plan import quorum
from etcd_steward.preflight import check_host, nameless, skew_complaint
from etcd_steward.reachability import complaints_about
from etcd_steward.rights import lacking, lacking_rights

if TYPE_CHECKING:
    from etcd_steward.advisories import Advisory
    from etcd_steward.observed import HostState
    from etcd_steward.plan import Plan
    from etcd_steward.run import Sight
    from etcd_steward.snapshots import Manifest
    from etcd_steward.topology import Member
    from etcd_steward.versions import Version

__all__ = ["Verdict", "down", "examine", "judge", "known_faults", "problems_of", "tell_faults"]

_TROUBLE = "see docs/troubleshooting.md"
# What brings a member to what is wanted, by how it runs.
_RUNS = {"service": "run deploys/etcd.py", "static_pod": "run deploys/static_pods.py"}
_MAINTAIN = "run deploys/maintain.py"


def judge(
    sight: Sight, limit: set[str], target: Version | None = None, *, any_release: bool = False
) -> dict[str, str]:
    """Say for every host whether its member is as promised: healthy, of this cluster, on the wanted version.

    Args:
        sight: what was seen.
        limit: the hosts that this run may change; a problem of another host is told on all of them.
        target: the release that these hosts were brought to; otherwise `etcd_version`.
        any_release: whether members may run another.

    Returns:
        For each host with a problem, what it is.
    """
    own = {
        member.host: problems_of(sight, member, target, behind=member.host in limit and not any_release)
        for member in sight.cluster.members
    }
    unheeded = sight.credentials.unheeded_complaint() if target is None else None
    if unheeded is not None:
        own = {host: [*told, _sentence(unheeded)] for host, told in own.items()}
    mute = {host for host in own if host not in limit or not sight.hosts[host].reached}
    return _told({host: told for host, told in own.items() if told}, mute, limit)


def _told(own: Mapping[str, list[str]], mute: set[str], limit: set[str]) -> dict[str, str]:
    problems = {host: "; ".join(told) for host, told in own.items()}
    hidden = "; ".join(f"{host}: {told}" for host, told in problems.items() if host in mute)
    if hidden:
        for host in limit:
            problems.setdefault(host, f"the cluster is not as promised ({hidden})")
    return problems


def problems_of(
    sight: Sight, member: Member, target: Version | None = None, *, behind: bool = True
) -> list[str]:
    """List what is wrong with one member.

    Args:
        sight: what was seen.
        member: the member.
        target: the release that it was brought to; otherwise `etcd_version`.
        behind: whether another release is wrong; beside a canary it is not.

    Returns:
        Sentences that say what was found, what was wanted, and what to do next.
    """
    complaints = _ailments(sight, member)
    if sight.hosts[member.host].reached and sight.seen is not None:
        complaints += _voters(sight)
    older = _behind(sight, member, target) if behind else None
    complaints += [older] if older else []
    return [_sentence(complaint) for complaint in complaints]


def _sentence(complaint: Complaint) -> str:
    return str(complaint).removeprefix(f"{complaint.host}: ")


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a cluster.

    Args:
        problems: why it is not healthy; empty while it is.
        notes: what else should be known.
    """

    problems: tuple[Complaint, ...] = ()
    notes: tuple[str, ...] = ()

    def told(self, sight: Sight, limit: set[str]) -> dict[str, str]:
        """Share the problems out, so that each is told by a host that can.

        Args:
            sight: what was seen.
            limit: the hosts that take part in this run.

        Returns:
            For each host that fails, why; a problem of the whole cluster is told by all of them.
        """
        own: dict[str, list[str]] = {}
        for complaint in self.problems:
            own.setdefault(complaint.host, []).append(_sentence(complaint))
        mute = {host for host in own if host not in limit or not sight.hosts[host].reached}
        return _told(own, mute, limit)


def examine(
    sight: Sight,
    plan: Plan,
    now: datetime,
    copies: Iterable[Manifest] = (),
    errors: Mapping[str, str] | None = None,
) -> Verdict:
    """Judge a cluster as it is: what makes it unhealthy, and what is only worth knowing.

    A release that differs from `etcd_version` is only a note, unlike in `judge`: status asks for health,
    converging for all settings.

    Args:
        sight: what was seen.
        plan: what converging would do; its refusals are problems.
        now: the controller's time.
        copies: the manifests of the controller's copies of snapshots.
        errors: by host, the last error in the log of a member that is down.

    Returns:
        The verdict.
    """
    same = same_machines({host: state.mark for host, state in sight.hosts.items()})
    problems = _whole(sight) + same
    notes = snapshot_report.on_controller(sight, copies, now)
    unjudged: set[str] = set()
    for member in sight.cluster.members:
        state = sight.hosts[member.host]
        if state.reached and state.uid != 0:
            # Such a login sees so little that nothing else in its answer can be believed.
            unjudged.add(member.host)
            problems += check_host(member, state, plan.decisions[member.host].action)[:1]
            continue
        refused = {refusal.host for refusal in plan.refusals}
        # Running deploys/etcd.py is no advice where it would refuse.
        problems += [
            one
            for one in _ailments(sight, member, (errors or {}).get(member.host, ""))
            if one.next not in _RUNS.values() or one.host not in refused
        ]
        if state.reached:
            ended, ending = certificate_report.judged(member, state, now)
            problems += [one for one in ended if one.next not in _RUNS.values() or one.host not in refused]
            problems += storage.complaints(member, state)
            notes += ending + _service(member, state) + _scarce(member, state)
            notes += [str(one) for one in nameless(member, state)]
            skewed = skew_complaint(member.host, state.skew(), member.settings.etcd_max_skew)
            notes += [str(skewed)] if skewed else []
            notes += [f"{member.host}: lies aside, unused by etcd: {path}" for path in state.aside]
    problems += snapshot_report.on_hosts(sight)
    # Of two names of one machine it says the same, which is no sign of a clone.
    told = (
        unjudged
        | {one.host for one in same}
        | {host for host, state in sight.hosts.items() if not state.reached}
    )
    problems += [refusal for refusal in plan.refusals if not told.issuperset(refusal.host.split(", "))]
    return Verdict(
        tuple(dict.fromkeys(problems)),
        (
            *plan.notes,
            *left_behind(sight.hosts.items()),
            *notes,
            *_all_behind(sight),
            *_downgrade(sight),
            *_advice(sight),
        ),
    )


def _whole(sight: Sight) -> list[Complaint]:
    cluster, states = sight.cluster, sight.hosts.values()
    _, ids = see_cluster(dict(sight.hosts))
    if len(ids) > 1:
        told = ", ".join(f"{number:016x}" for number in sorted(ids))
        return [Complaint(cluster.name, f"members of several clusters ({told})", "one", _TROUBLE)]
    if sight.seen is not None:
        return _voters(sight)
    # Whoever refuses us for want of a user answers, and is told of by itself.
    if lacking_rights(cluster.members, sight.hosts):
        return []
    if not any(state.data.value in {"complete", "half"} for state in states):
        return []
    running = sum(state.endpoint.status is not None for state in states)
    voters = len(cluster.members)
    standing = sight.standing
    if standing.value == "unknown":
        return [
            Complaint(
                cluster.name,
                f"no quorum that answers ({running} of {voters} members do; {standing}), though one may serve",
                f"{quorum(voters)} that agree",
                f"look at these hosts; {_TROUBLE}",
            ),
        ]
    return [
        Complaint(
            cluster.name,
            f"no quorum ({running} of {voters} members answer)",
            f"{quorum(voters)} that agree",
            f"bring the others back; {_TROUBLE}",
        ),
    ]


def _voters(sight: Sight) -> list[Complaint]:
    expected = len(sight.cluster.members)
    if sight.seen is None or len(sight.seen.voters) >= expected:
        return []
    return [
        Complaint(
            sight.cluster.name,
            f"{len(sight.seen.voters)} voters",
            f"{expected} (quorum {quorum(expected)})",
            _RUNS[sight.cluster.settings.etcd_runtime],
        ),
    ]


def down(sight: Sight) -> list[Member]:
    """Name the members that are down on hosts that can say why.

    Args:
        sight: what was seen.
    """
    return [
        member
        for member in sight.cluster.members
        for state in [sight.hosts[member.host]]
        if state.reached and state.uid == 0 and state.service.exists and not state.endpoint.healthy
    ]


def _scarce(member: Member, state: HostState) -> list[str]:
    """Tell of a disk that is nearly full, whether its member still serves or not."""
    wanted = member.settings.etcd_min_free_mb
    if not state.service.exists or state.free_mb >= wanted:
        return []
    found = f"{state.free_mb} MB free on {state.mount}, where its data lies"
    return [str(Complaint(member.host, found, f"{wanted} MB as etcd_min_free_mb says", "free some space"))]


def _ailments(sight: Sight, member: Member, error: str = "") -> list[Complaint]:
    state, host = sight.hosts[member.host], member.host
    run = _RUNS[member.settings.etcd_runtime]
    if not state.reached:
        return [Complaint(host, f"no answer ({state.problem})", "the host within reach", state.mend)]
    complaints = []
    if not state.service.exists and not state.endpoint.healthy:
        return [Complaint(host, "no etcd", f"the member {member.name}", run)]
    refused = lacking(member, state)
    if refused is not None:
        complaints.append(refused)
    elif not state.endpoint.healthy and not state.service.running:
        why = f"; the last error in its log: {error}" if error else ""
        complaints.append(Complaint(host, f"etcd {state.service.word}{why}", "it running", run))
    elif not state.endpoint.healthy:
        said = state.endpoint.error or "no answer"
        said += f"; the last error in its log: {error}" if error else ""
        complaints.append(Complaint(host, f"an unhealthy endpoint ({said})", "it healthy", _TROUBLE))
    else:
        complaints += _membership(sight, member) + complaints_about(sight, member)
    alarms = ", ".join(state.endpoint.alarms)
    if alarms:
        cure = _MAINTAIN if set(state.endpoint.alarms) == {"NOSPACE"} else _TROUBLE
        complaints.append(Complaint(host, f"the alarm {alarms}", "none", cure))
    if any(record.open for place, record in sight.records.items() if place == host):
        found = "a cluster that has not yet passed its gate"
        complaints.append(Complaint(host, found, "one that has", run))
    return complaints


def _membership(sight: Sight, member: Member) -> list[Complaint]:
    seen, endpoint = sight.seen, sight.hosts[member.host].endpoint
    if endpoint.status is None or endpoint.members is None:
        # It reads linearizably, so it is of some use; of whom it is a member nobody can say.
        what, said = (
            ("status", endpoint.untold) if endpoint.status is None else ("list of members", endpoint.denied)
        )
        found = f"no readable answer from {member.loopback_url} ({said or 'not a word'})"
        return [Complaint(member.host, found, f"its {what}", _TROUBLE)]
    if seen is None:
        return []
    complaints = []
    header: Mapping[str, object] = endpoint.status["header"]
    cluster, own = (int(str(header[key])) for key in ("cluster_id", "member_id"))
    if cluster != seen.id:
        complaints.append(
            Complaint(member.host, f"a member of cluster {cluster:016x}", f"{seen.id:016x}", _TROUBLE)
        )
    listed = next((one for one in seen.members if one.id == own), None)
    if listed is None or listed.learner:
        found = "a learner" if listed else f"a member ({own:016x}) that the cluster does not list"
        complaints.append(Complaint(member.host, found, "a voter", _TROUBLE))
    return complaints


def _behind(sight: Sight, member: Member, target: Version | None = None) -> Complaint | None:
    version = (sight.hosts[member.host].endpoint.status or {}).get("version")
    wanted = str(target or member.settings.etcd_version)
    if not version or version == wanted:
        return None
    if target is not None:
        return Complaint(member.host, f"etcd {version} running", wanted, "run the same command again")
    return Complaint(
        member.host,
        f"etcd {version} running",
        f"{wanted} as etcd_version says",
        f"pyinfra -y INVENTORY deploys/upgrade.py --data etcd_version={wanted}",
    )


def _all_behind(sight: Sight) -> list[str]:
    """Tell once what holds for several members."""
    behind: dict[str, list[str]] = {}
    for member in sight.cluster.members:
        complaint = _behind(sight, member)
        if complaint:
            behind.setdefault(_sentence(complaint), []).append(member.host)
    return [f"{', '.join(hosts)}: {told}" for told, hosts in behind.items()]


def _downgrade(sight: Sight) -> list[str]:
    """Tell of a downgrade that etcd has enabled: under way, or left behind by a run that was cut or by a snapshot."""
    statuses = [state.endpoint.status for state in sight.hosts.values() if state.endpoint.status]
    line = downgrading(statuses)
    if not line:
        return []
    command = "pyinfra -y INVENTORY deploys/upgrade.py --data etcd_version="
    if not stray_downgrade(statuses):
        return [
            f"a downgrade to {line} is under way: {command}RELEASE goes on with it, or ends it where RELEASE is a higher one"
        ]
    running = min((str(status["version"]) for status in statuses), key=versions.parse)
    return [
        f"a downgrade to {line} is enabled, and every member runs a newer line: {command}{running} ends it"
    ]


def _service(member: Member, state: HostState) -> list[str]:
    settings, run = member.settings, _RUNS[member.settings.etcd_runtime]
    if f"({UNTENDED} " in state.service.word:
        wanted = "kubelet running, which starts it again where it ends"
        return [str(Complaint(member.host, f"etcd {state.service.word}", wanted, run))]
    if not state.service.exists or state.service.enabled:
        return []
    if settings.pod and not state.service.definition:
        found, wanted = f"no {settings.manifest_path}", "the manifest that kubelet starts the member from"
        return [str(Complaint(member.host, found, wanted, run))]
    found = f"the service {'kubelet' if settings.pod else settings.etcd_service} not enabled"
    return [str(Complaint(member.host, found, "it started at boot", run))]


def known_faults(sight: Sight) -> dict[Version, list[Advisory]]:
    """Say what the releases that run have against them; where none runs, the one that is wanted.

    Args:
        sight: what was seen.

    Returns:
        The advisories by release, which may be none.
    """
    running = {str((state.endpoint.status or {}).get("version") or "") for state in sight.hosts.values()}
    found = {}
    for text in running - {""} or {sight.cluster.settings.etcd_version}:
        try:
            version = versions.parse(text)
        except ValueError:  # a release candidate, or a build of somebody's own
            continue
        found[version] = advisories.against(version)
    return {version: found[version] for version in sorted(found)}


def _told_faults(sight: Sight) -> list[str]:
    """Write what is known against the releases that run, a sentence each.

    Args:
        sight: what was seen.
    """
    return [
        f"etcd {version}: {advice.text} ({advice.source})"
        for version in known_faults(sight)
        for advice in versions.judge_target(version)
    ]


def tell_faults(name: str, sight: Sight) -> None:
    """Tell what is known against the releases that run, dry or not, before anything is changed.

    Args:
        name: the cluster's name.
        sight: what was seen.
    """
    for line in _told_faults(sight):
        logger.info(f"    {name}: {line}")


def _advice(sight: Sight) -> list[str]:
    told = {
        text for member in sight.cluster.members for text in configuration.advise(member.settings.etcd_config)
    }
    return _told_faults(sight) + [f"etcd_config: {text}" for text in sorted(told)]
