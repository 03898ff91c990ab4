"""Puts the questions of an upgrade's gates to the members, and takes the snapshot that comes before the first restart."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent

from etcd_steward import config_keys, gates
from etcd_steward.backing_up import download, giver, take
from etcd_steward.bolt import BoltError, bucket
from etcd_steward.shell import Script
from etcd_steward.snapshots import Manifest
from etcd_steward.talk import ask, ctl
from etcd_steward.upgrading import ORIGIN, behind, earlier_snapshots, known_releases, running_versions
from etcd_steward.versions import parse
from etcd_steward.waits import COMMAND_S

if TYPE_CHECKING:
    from etcd_steward.converge import Converge
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.topology import Member
    from etcd_steward.versions import Version

__all__ = ["Secured", "compare", "end_downgrade", "secure", "secure_anew", "unburden"]

# Seconds that members may need until their answers can be compared: one that is just compacting, or migrating.
_PATIENCE = 30
# The minor release from which on entries about users are written in another form (etcd's guide to 3.5).
_AUTHENTICATES_ANEW = 5
# Restarts the members one at a time, whatever they run with.
_ROLL = 'set etcd_config = {"snapshot-count": 50}, run deploys/etcd.py'


@dataclass(frozen=True)
class Secured:
    """The snapshot that lies ready should an upgrade go wrong.

    Args:
        host: where it lies.
        manifest: what it holds; None where there is none.
        problem: what went wrong; the operator's own command may fail after a snapshot was taken.
        taken: it was taken in this run.
        pruned: files that had their time.
    """

    host: str
    manifest: Manifest | None
    problem: str = ""
    taken: bool = False
    pruned: tuple[str, ...] = ()


def compare(run: Converge, step: Version, *, everybody: bool, downgrade: bool) -> str:
    """Compare the members' hashes, and lead the cluster's version down where that is due.

    Args:
        run: the run of the cluster.
        step: the release that members are about to be brought to.
        everybody: whether those that were down must answer as well.
        downgrade: whether the cluster's version has to be lowered first.

    Returns:
        What is in the way; empty where nothing is.
    """
    sight = run.job().sight
    asked = [one for one in sight.cluster.members if everybody or sight.hosts[one.host].endpoint.healthy]
    return (
        _patiently(lambda: _authenticated(run, asked, step))
        or _patiently(lambda: _compare(run, asked))
        or _lowered(run, asked, step, downgrade=downgrade)
    )


def unburden(run: Converge, step: Version) -> str:
    """Look for what keeps 3.6 from starting, or from being the cluster that 3.5 was.

    Args:
        run: the run of the cluster.
        step: the release that members are about to be brought to.

    Returns:
        What is in the way; empty where nothing is.
    """
    # From 3.6 on etcdutl no longer knows the check, and etcd lists what its database holds: whoever is there has passed.
    below = behind(run.job().sight, step)
    return (_v2_content(run, step, below) or _strangers(run, step)) if below else ""


def secure(run: Converge, step: Version) -> Secured:
    """Take a snapshot from a healthy member, or prove an earlier one that does.

    Args:
        run: the run of the cluster.
        step: the release that members are about to be brought to.

    Returns:
        The snapshot, or why there is none.
    """
    sight = run.job().sight
    for host, manifest in earlier_snapshots(sight, step):
        path = f"{sight.cluster.member(host).settings.etcd_snapshot_dir}/{manifest.file}"
        question = Script("digest", f"sha256sum <{shlex.quote(path)} | cut -d ' ' -f 1")
        if ask(run.cluster_run, host, question, COMMAND_S) == [manifest.sha256]:
            return Secured(host, manifest)
    return secure_anew(run, sight)


def secure_anew(run: Converge, sight: Sight) -> Secured:
    """Take a snapshot from a healthy member.

    Args:
        run: the run of the cluster.
        sight: what was seen of it.

    Returns:
        The snapshot, or why there is none.
    """
    limit, running = run.cluster_run.limited(), running_versions(sight.hosts)
    # What a newer release has written the older one may not open, and 3.5's list of members is in a database of 3.5.
    oldest = {host for host in limit if running.get(host) == min(running.values(), default=None)}
    member, complaints = giver(sight, oldest)
    if member is None:
        member, complaints = giver(sight, limit)
    if member is None:
        return Secured("", None, "; ".join(map(str, complaints)))
    made = take(run.cluster_run, run.cluster_run.name, member, ORIGIN)
    problem = made.problem and f"{made.problem}; no member was touched"
    return Secured(member.host, made.manifest, problem, taken=True, pruned=made.pruned)


def _patiently(judge: Callable[[], str]) -> str:
    """Ask until the answer can be judged, for some seconds at most."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return judge()
        except gates.Unsure as error:
            if time.monotonic() > until:
                return f"{error}, wanted comparable answers of all; next: run again"
        gevent.sleep(1)


def _compare(run: Converge, members: list[Member]) -> str:
    observer = _observer(run.job().sight, members)
    endpoints = ",".join(one.client_url for one in members)
    lines = ask(run.cluster_run, observer.host, ctl(observer, "hashes.sh", endpoints=endpoints), COMMAND_S)
    told = dict(line.partition(" ")[::2] for line in lines)
    if "hashes" not in told:
        raise gates.Unsure(
            f"found no hashes ({told.get('refused') or ' '.join(lines[-2:]) or 'no answer'})"[:300]
        )
    difference = gates.differing_hashes(told["hashes"], len(members))
    if not difference:
        return ""
    return (
        f"found members that hold different keys at revision {told.get('revision')} ({difference}), wanted the same; "
        "next: see docs/troubleshooting.md, and replace the member that differs before anything else"
    )


def _authenticated(run: Converge, members: list[Member], step: Version) -> str:
    """Refuse authentication on the way from 3.4 to 3.5: what the one writes of users the other does not read."""
    sight = run.job().sight
    known = known_releases(sight).values()
    # Where members are mixed already, the sooner all are on one line the fewer such entries are written.
    if step.minor < _AUTHENTICATES_ANEW or any(one.minor >= _AUTHENTICATES_ANEW for one in known):
        return ""
    observer = _observer(sight, members)
    lines = ask(
        run.cluster_run, observer.host, ctl(observer, "authenticates.sh", endpoint=observer.loopback_url)
    )
    if lines == ["off"]:
        return ""
    if lines != ["on"]:
        said = " ".join(lines[-1:]).removeprefix("untold ") or "no answer"
        raise gates.Unsure(f"found no answer whether etcd's authentication is on ({said})"[:300])
    return (
        f"found etcd's authentication on, wanted it off while members of 3.4 and {step.minor_line} run side by side, as each "
        "keeps for itself what is changed of users; next: as root of etcd: etcdctl auth disable, then run again, and "
        "etcdctl auth enable afterwards"
    )


def _observer(sight: Sight, members: list[Member]) -> Member:
    return next((one for one in members if sight.hosts[one.host].endpoint.healthy), members[0])


def _statuses(run: ClusterRun, members: list[Member]) -> dict[str, Mapping[str, Any]]:
    """Ask each member from its own host: an etcdctl of 3.5 drops what it does not know of a member of 3.6."""

    def look(member: Member) -> list[str]:
        settings = member.settings
        question = ctl(
            member, "newest.sh", "status.sh", endpoint=member.loopback_url, prefix=settings.etcd_prefix
        )
        return ask(run, member.host, question)

    jobs = {one.name: gevent.spawn(look, one) for one in members}
    gevent.joinall(list(jobs.values()))
    return {name: gates.read_status(name, job.get()) for name, job in jobs.items()}


def _lead(run: ClusterRun, member: Member, line: str) -> str:
    """Ask a member for a downgrade, or to end one; give why not, empty where etcd agreed."""
    # What changes something waits for a command of a killed run.
    fragments, settings = ("guard.sh", "newest.sh", "downgrade.sh"), member.settings
    question = ctl(member, *fragments, endpoint=member.loopback_url, prefix=settings.etcd_prefix, line=line)
    lines = ask(run, member.host, question)
    if "agreed" in lines:
        return ""
    return " ".join(lines[-2:]).removeprefix("refused ")[:200] or "no answer"


def _newest(members: list[Member], statuses: Mapping[str, Mapping[str, Any]]) -> Member:
    """Choose who is asked for a downgrade: the way of 3.5 and older knows no such question."""
    return max(members, key=lambda one: parse(str(statuses[one.name]["version"])))


def end_downgrade(run: ClusterRun, members: list[Member]) -> str:
    """End a downgrade that nobody is on any more, as every member runs a newer line than it leads to.

    Args:
        run: the run.
        members: all members of the cluster.

    Returns:
        What went wrong; empty where none is enabled now, or where some member has gone that way.
    """

    def ended() -> str:
        statuses = _statuses(run, members)
        if not gates.stray_downgrade(statuses.values()):
            return ""
        refused = _lead(run, _newest(members, statuses), "none")
        # Where etcd itself has ended it meanwhile, as it does once every member is there, it refuses.
        if not refused or not gates.stray_downgrade(_statuses(run, members).values()):
            return ""
        return _CANNOT_END.format(refused)

    return _patiently(ended)


_CANNOT_END = "found a downgrade that cannot be ended ({}), wanted none; next: etcdctl downgrade cancel"


def _lowered(run: Converge, members: list[Member], step: Version, *, downgrade: bool) -> str:
    """Lead the cluster's version down by etcd's own protocol, or end such a way where it now leads up again."""
    sight, asked = run.job().sight, run.cluster_run

    def turned() -> str:
        statuses = _statuses(asked, members)
        if gates.downgrading(statuses.values()) in {"", step.minor_line}:
            return ""
        refused = _lead(asked, _newest(members, statuses), "none")
        return _CANNOT_END.format(refused) if refused else ""

    def consented() -> str:
        statuses = _statuses(asked, members)
        refused = _lead(asked, _newest(members, statuses), step.minor_line)
        if not refused or gates.downgrading(_statuses(asked, members).values()) == step.minor_line:
            return ""
        before = gates.downgrading(statuses.values())
        if before not in {"", step.minor_line}:
            # One step after the other: etcd ends a downgrade that all members have gone with its next look, some seconds later
            # (`DefaultDowngradeCheckTime` of embed/config.go, 5 s), and refuses another one until then.
            raise gates.Unsure(f"found a downgrade to {before} that etcd has not ended yet ({refused})")
        return f"found that etcd refuses the downgrade ({refused}), wanted its consent; next: see etcd's downgrade guide"

    def migrated() -> str:
        late = gates.not_migrated(_statuses(asked, members).values(), step)
        if late:
            raise gates.Unsure(f"found {'; '.join(late)}")
        return ""

    if not gates.downgrade_due([*running_versions(sight.hosts).values(), step], step):
        enabled = any((state.endpoint.status or {}).get("downgradeInfo") for state in sight.hosts.values())
        return _patiently(turned) if enabled else ""
    return (_patiently(consented) if downgrade else "") or _patiently(migrated)


def _skips_check(member: Member, step: Version) -> bool:
    """Tell whether the operator has said that what the v2 interface left may stay (etcd's guide to 3.6)."""
    word = member.settings.etcd_config.get(gates.V2_KEY)
    return word == gates.V2_SKIP and gates.V2_SKIP in (config_keys.values(gates.V2_KEY, step) or [])


def _v2_content(run: Converge, step: Version, below: list[str]) -> str:
    sight = run.job().sight
    below = [host for host in below if not _skips_check(sight.cluster.member(host), step)]

    def look(member: Member) -> str:
        settings = member.settings
        question = ctl(
            member,
            "enter.sh",
            "v2store.sh",
            etcdutl=f"{settings.etcd_bin_dir}/etcdutl",
            data_dir=settings.etcd_data_dir,
            wal_dir=settings.etcd_wal_dir,
            folder=settings.etcd_snapshot_dir,
        )
        return gates.v2_content(ask(run.cluster_run, member.host, question, COMMAND_S))

    jobs = {one.name: gevent.spawn(look, one) for one in sight.cluster.members if one.host in below}
    gevent.joinall(list(jobs.values()))
    found = {name: job.get() for name, job in jobs.items() if job.get()}
    if not found:
        return ""
    told = "; ".join(f"{name}: {said}" for name, said in found.items())
    return f"found that etcdutl does not call the v2 store empty ({told}), wanted it empty; next: {gates.v2_cure(found.values())}"


def _strangers(run: Converge, step: Version) -> str:
    safe: Secured = run.once("secured", lambda: secure(run, step))
    sight = run.job().sight
    if safe.manifest is None or sight.seen is None:
        return safe.problem or "found no snapshot to read the members from, wanted one; next: run again"
    member = sight.cluster.member(safe.host)
    path = f"{member.settings.etcd_snapshot_dir}/{safe.manifest.file}"
    with tempfile.TemporaryFile() as file:
        try:
            download(run.cluster_run, run.cluster_run.hosts[member.host], path, file)
            stored = bucket(file, b"members")
            told = gates.strangers(stored.values(), sight.seen.members)
        except (OSError, BoltError, gates.Unsure) as error:
            return f"found no list of members in {path} ({error}), wanted one; next: run again"
    if not told:
        return ""
    return (
        f"found that the two stores of {member.name} list different members ({'; '.join(told)}), wanted the same; "
        f"next: {_ROLL}, as a restart on the newest 3.5 mends it, then run again (etcd#20967)"
    )
