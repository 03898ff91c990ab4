"""Which way an upgrade goes, and what forbids it; without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from etcd_steward import configuration, digests, versions
from etcd_steward.archives import without_digest
from etcd_steward.errors import Complaint
from etcd_steward.job import linked_release
from etcd_steward.observed import HostState
from etcd_steward.refused import first
from etcd_steward.replacing import replacing
from etcd_steward.rights import lacking, lacking_rights
from etcd_steward.run import Sight
from etcd_steward.snapshots import Manifest
from etcd_steward.versions import Hop, Version

__all__ = [
    "ORIGIN",
    "Path",
    "begun",
    "behind",
    "choose_path",
    "earlier_snapshots",
    "known_releases",
    "running_versions",
]

# A member writes its database anew while it starts, and a snapshot is taken beside it.
_ROOM = 2

ORIGIN = "upgrade"
_RECENT = 86400


@dataclass(frozen=True)
class Path:
    """The way from the release that runs to the one that is wanted.

    Args:
        steps: one roll over all members for each.
        downgrade: etcd itself must be asked first, as the cluster's version has risen.
        lowered: the cluster's version is that of the first step already, though some member is above it.
        from_3_6: the first step leads members from 3.6 to 3.7.
        complaints: why it must not be gone.
    """

    steps: tuple[Hop, ...] = ()
    downgrade: bool = False
    complaints: tuple[Complaint, ...] = ()
    lowered: bool = False
    from_3_6: bool = False

    def wants_raft_snapshots(self, number: int) -> bool:
        """Tell whether a step leads members from 3.6 to 3.7, which starts only behind what 3.5 wrote into the log.

        Args:
            number: of the step, from 0 on.
        """
        if not 0 <= number < len(self.steps) or self.steps[number].to.minor_line != "3.7":
            return False
        return self.steps[number - 1].to.minor_line == "3.6" if number else self.from_3_6


def running_versions(hosts: Mapping[str, HostState]) -> dict[str, Version]:
    """Say which release each reached member runs; one that is no release, such as a candidate, is left out."""
    running = {}
    for host, state in hosts.items():
        try:
            running[host] = versions.parse(str((state.endpoint.status or {}).get("version")))
        except ValueError:
            continue
    return running


def known_releases(sight: Sight) -> dict[str, Version]:
    """Say which release each member runs, or would start with where it is down.

    Args:
        sight: what was seen.

    Returns:
        The releases of those that are known.
    """
    known = running_versions(sight.hosts)
    for member in sight.cluster.members:
        state = sight.hosts[member.host]
        linked = linked_release(member, state)
        if linked is not None and state.endpoint.status is None:
            known.setdefault(member.host, linked)
    return known


def behind(sight: Sight, target: Version) -> list[str]:
    """Name the hosts whose member is of a line below a release's, or of one that nobody knows.

    Args:
        sight: what was seen.
        target: the release.
    """
    known = known_releases(sight)
    return [host for host in sight.hosts if host not in known or known[host].minor < target.minor]


def begun(sight: Sight, target: Version) -> bool:
    """Tell whether an upgrade to a release is half done: some member has it, by what runs or by its links.

    Args:
        sight: what was seen.
        target: the release.
    """
    known = known_releases(sight)
    return target in known.values() and (
        set(known.values()) != {target} or not all(sight.hosts[host].endpoint.healthy for host in known)
    )


def choose_path(sight: Sight, limit: set[str]) -> Path:
    """Find the steps of an upgrade, or the reasons against it.

    Args:
        sight: what was seen.
        limit: the hosts that this run may change; a canary changes only some.

    Returns:
        The path; without steps where every member of the limit runs the wanted release.
    """
    known = known_releases(sight)
    complaints = [*_unwell(sight), *_room(sight), *_unreleased(sight)]
    if not known:
        return Path(complaints=tuple(complaints))
    path = _rollback(sight, known) if sight.cluster.settings.etcd_rollback else _forth(sight, known, limit)
    complaints += path.complaints
    if len(path.steps) > 1 and limit != set(sight.hosts):
        complaints.append(
            Complaint(
                sight.cluster.name,
                f"{len(path.steps)} steps and --limit",
                "one step for a canary",
                f"name {path.steps[0].to} as etcd_version",
            ),
        )
    below = {host for host, version in known.items() if host in limit and version.minor_line == "3.6"}
    path = replace(path, from_3_6=bool(below))
    complaints += _down(sight, limit, path, below)
    complaints += [*_undigested(sight, path), *_unreadable(sight, path)]
    return replace(path, complaints=tuple(complaints))


def _rollback(sight: Sight, known: Mapping[str, Version]) -> Path:
    lowest, highest = min(known.values()), max(known.values())
    if lowest == highest:
        complaint = Complaint(
            sight.cluster.name,
            f"every member on etcd {lowest}, so that there is nobody to follow back",
            "a member that still runs the older release",
            "name the older release as etcd_version: a patch release is taken back so, and 3.7 to 3.6 and 3.6 to 3.5 too, "
            "where all members are well; all else by restoring a snapshot",
        )
        return Path(complaints=(complaint,))
    return Path((Hop(lowest, "back to the release that the others run"),))


def _forth(sight: Sight, known: Mapping[str, Version], limit: set[str]) -> Path:
    name, target = sight.cluster.name, versions.parse(sight.cluster.settings.etcd_version)
    lowest, highest = min(known.values()), max(known.values())
    if all(version == target for host, version in known.items() if host in limit):
        down = [host for host in limit if not sight.hosts[host].endpoint.healthy]
        return Path((Hop(target, "for what an earlier run left down"),)) if down else Path()
    if lowest.minor == target.minor < highest.minor and highest.minor_line not in versions.DOWNGRADABLE:
        found = f"members on etcd {highest} beside others on {lowest}"
        way = "run with --data etcd_rollback=true"
        return Path(complaints=(Complaint(name, found, "a word that they are to go back", way),))
    # Members that an interrupted run has already brought on are one step ahead: the path is that of the others.
    try:
        steps = tuple(
            versions.hops(highest if target.minor < highest.minor else lowest, target, _usable(sight))
        )
    except ValueError as error:
        complaint = Complaint.of(name, error, "a path that etcd supports", "choose another etcd_version")
        return Path(complaints=(complaint,))
    if not steps:
        steps = (Hop(target, "a patch release back"),)
    if steps[0].to.minor < highest.minor and target.minor >= lowest.minor:
        if target.minor < highest.minor:
            # Somebody runs the older line: the cluster's version is that of the older, by protocol or as it never rose.
            return Path(steps)
        complaint = Complaint(
            name,
            f"members on etcd {highest}, beyond the next step {steps[0].to}",
            "members at most one step apart",
            f"finish the earlier upgrade first: --data etcd_version={highest}",
        )
        return Path(steps, complaints=(complaint,))
    # A member that runs the line of the first step already shows that the cluster's version is no higher.
    return Path(
        steps,
        downgrade=target.minor < lowest.minor,
        lowered=lowest.minor <= steps[0].to.minor < highest.minor,
    )


def _usable(sight: Sight) -> set[Version] | None:
    """Say which releases may come on the way, where each needs a digest that was known beforehand."""
    settings = sight.cluster.settings
    if not settings.etcd_require_digest:
        return None
    arches = {
        versions.SUPPORTED_ARCHES[state.machine]
        for state in sight.hosts.values()
        if state.machine in versions.SUPPORTED_ARCHES
    }
    return versions.carried(arches) | {
        version
        for version in map(versions.parse, digests.releases(settings.etcd_sha256))
        if not any(without_digest("", settings, version, arch) for arch in arches)
    }


def _undigested(sight: Sight, path: Path) -> list[Complaint]:
    return [
        complaint
        for step in path.steps
        for host, state in sight.hosts.items()
        if state.machine in versions.SUPPORTED_ARCHES and str(step.to) not in state.releases
        for complaint in without_digest(
            host, sight.cluster.settings, step.to, versions.SUPPORTED_ARCHES[state.machine]
        )
    ]


def _unreadable(sight: Sight, path: Path) -> list[Complaint]:
    """Judge `etcd_config` by every release on the way, as a member that does not read it would be down by then."""
    return [
        Complaint(
            member.host,
            f"etcd_config: {text}",
            f"keys and values that etcd {step.to} takes too, as it comes on the way",
            "correct etcd_config, or upgrade in two runs, each with its own etcd_config",
        )
        for step in path.steps
        if step.to != versions.parse(sight.cluster.settings.etcd_version)
        for member in sight.cluster.members
        for text in configuration.check(member.settings.etcd_config, step.to)
    ]


def _unreleased(sight: Sight) -> list[Complaint]:
    running = running_versions(sight.hosts)
    return [
        Complaint(
            host,
            "a member whose release is not known",
            f"a release such as {versions.DEFAULT}",
            "run deploys/status.py, and mend it first",
        )
        for host, state in sight.hosts.items()
        if state.endpoint.status is not None and host not in running
    ]


def _down(sight: Sight, limit: set[str], path: Path, below: set[str]) -> list[Complaint]:
    """A member may be down only where this upgrade itself has left it so: another release mends nothing else."""
    left_so = set(sight.hosts) if path.steps and begun(sight, path.steps[0].to) else set()
    if path.wants_raft_snapshots(0):
        # Each has a turn on the release that it has before the first one changes it.
        left_so |= below
    return [
        Complaint(
            host,
            f"etcd not healthy ({state.endpoint.error or state.service.word})",
            "every member healthy before one changes its release",
            f"run deploys/etcd.py first; {replacing(sight.cluster.member(host))}"
            if host in limit
            else "mend it, or run without --limit",
        )
        for host, state in sight.hosts.items()
        if state.reached
        and not state.endpoint.healthy
        and not state.endpoint.locked
        and host not in left_so & limit
    ]


def _unwell(sight: Sight) -> list[Complaint]:
    complaints = []
    for member in sight.cluster.members:
        state = sight.hosts[member.host]
        if not state.reached:
            complaints.append(
                Complaint(
                    member.host,
                    f"no answer ({state.problem})",
                    "every member healthy",
                    first(state.mend),
                ),
            )
        elif (refused := lacking(member, state)) is not None:
            complaints.append(refused)
        elif state.endpoint.alarms:
            complaints.append(
                Complaint(
                    member.host,
                    f"the alarm {', '.join(state.endpoint.alarms)}",
                    "no alarm",
                    "run deploys/maintain.py, then run again"
                    if set(state.endpoint.alarms) == {"NOSPACE"}
                    else "see docs/troubleshooting.md, then run again",
                ),
            )
    if any(record.open for record in sight.records.values()):
        complaints.append(
            Complaint(
                sight.cluster.name,
                "a bootstrap that was not finished",
                "a cluster that passed its gate",
                "run deploys/etcd.py first",
            ),
        )
    if sight.seen is None and not lacking_rights(sight.cluster.members, sight.hosts):
        complaints.append(
            Complaint(
                sight.cluster.name,
                f"no quorum that answers ({sight.standing})" if sight.standing.doubts else "no quorum",
                "a healthy cluster",
                "run deploys/etcd.py or deploys/status.py first",
            ),
        )
    if sight.seen is None:
        return complaints
    ours = {state.data.identity.member for state in sight.hosts.values() if state.data.identity}
    complaints += [
        Complaint(
            sight.cluster.name,
            f"the member {one.name or one.peer_urls[0]} ({one.id:016x}), which no host of the inventory is",
            "every member known, as members may be one minor version apart at most",
            "add its host to the inventory, or run deploys/remove.py",
        )
        for one in sight.seen.members
        if one.id not in ours and all(state.reached for state in sight.hosts.values())
    ]
    return complaints


def _room(sight: Sight) -> list[Complaint]:
    complaints = []
    for host, state in sight.hosts.items():
        needed = _ROOM * state.data.size // 2**20 + 64
        if state.reached and state.free_mb < needed:
            complaints.append(
                Complaint(
                    host,
                    f"{state.free_mb} MB free on {state.mount}",
                    f"{needed} MB",
                    "free some space, then run again",
                ),
            )
    return complaints


def earlier_snapshots(sight: Sight, target: Version) -> list[tuple[str, Manifest]]:
    """List the snapshots that spare a new one before members are restarted; newest first.

    One of this upgrade does, where it is half done and has left a member down; one of the last day does, where the
    operator says so. The host that has it judges its age, by the clock that stamped it.

    Args:
        sight: what was seen.
        target: the release that members are about to be brought to.

    Returns:
        Hosts and the manifests that lie there; the files are still to be proved.
    """
    # Before 3.6 the members that the database holds are read out of it: a day ago they may have been others.
    if sight.seen is None or (target.minor_line == "3.6" and behind(sight, target)):
        return []
    recent = sight.cluster.settings.etcd_upgrade_snapshot == "recent"
    # A canary, and whoever follows the others back, is half done too: but all are well, and have written much since.
    down = begun(sight, target) and not all(state.endpoint.healthy for state in sight.hosts.values())
    found = [
        (host, manifest)
        for host, state in sight.hosts.items()
        for manifest in state.snapshots
        if manifest.cluster_id == f"{sight.seen.id:016x}"
        and 0 <= state.now - manifest.seconds < _RECENT
        and (recent or (down and manifest.origin == ORIGIN))
    ]
    return sorted(found, key=lambda one: one[1].revision, reverse=True)
