"""What hosts hold whose cluster has lost its quorum: how far each log goes, and a snapshot out of any of them."""

from __future__ import annotations

import hashlib
import io
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import gevent
from pyinfra.context import ctx_host

from etcd_steward import versions
from etcd_steward.backing_up import Taken, download, read_taken
from etcd_steward.schedule import job_script
from etcd_steward.shell import Script, script
from etcd_steward.talk import ask
from etcd_steward.waits import COMMAND_S
from etcd_steward.wal import LogEnd, agreed, furthest, read_end

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.plan import Plan
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.topology import Member
    from etcd_steward.versions import Version

__all__ = ["Log", "give", "log_folder", "logs", "name_furthest", "reaches", "releases_for"]


@dataclass(frozen=True)
class Log:
    """A member's log as it lies on its host.

    Args:
        segment: the name of its newest segment.
        end: where it ends.
        sha256: digest of that segment up to its end.
    """

    segment: str
    end: LogEnd
    sha256: str


def log_folder(member: Member) -> str:
    """Say where a member's write-ahead log lies."""
    settings = member.settings
    return f"{settings.etcd_wal_dir or f'{settings.etcd_data_dir}/member'}/wal"


def logs(run: ClusterRun, sight: Sight) -> tuple[dict[str, Log], dict[str, str]]:
    """Read how far the logs of all hosts go that hold data.

    Args:
        run: the run.
        sight: what was seen.

    Returns:
        The logs by host, and why those that could not be read were not.
    """
    holders = [one for one in sight.cluster.members if sight.hosts[one.host].data.value == "complete"]
    jobs = {one.host: gevent.spawn(_tried, run, one) for one in holders}
    gevent.joinall(list(jobs.values()))
    told = {host: job.get() for host, job in jobs.items()}
    return (
        {host: log for host, log in told.items() if isinstance(log, Log)},
        {host: problem for host, problem in told.items() if isinstance(problem, str)},
    )


def reaches(ends: Mapping[str, LogEnd]) -> str:
    """Tell how far some logs go, the furthest first.

    Args:
        ends: where they end, by host.
    """
    ranked = sorted(ends.items(), key=lambda one: (*(-part for part in one[1].reach), one[0]))
    best = furthest(dict(ends))
    return ", ".join(
        f"{host}: term {end.term}, index {end.index}{' (furthest)' if host in best else ''}"
        for host, end in ranked
    )


def name_furthest(run: ClusterRun, sight: Sight, plan: Plan) -> Plan:
    """Let a refusal that leads to a restore from a host name the one whose log goes furthest.

    Args:
        run: the run.
        sight: what was seen.
        plan: what was decided.

    Returns:
        The plan.
    """
    mark = "etcd_snapshot=from:"
    if sight.seen is not None or not any(mark in one.next for one in plan.refusals):
        return plan
    known, _ = logs(run, sight)
    ends = {host: log.end for host, log in known.items()}
    if len(ends) < 2:  # noqa: PLR2004 - nobody to compare with
        return plan
    name = furthest(ends)[0]
    named = [
        replace(
            one,
            found=f"{one.found}; their logs end at {reaches(ends)}",
            next=re.sub(f"{mark}\\S+", f"{mark}{name}", one.next),
        )
        if mark in one.next
        else one
        for one in plan.refusals
    ]
    return replace(plan, refusals=tuple(named))


def _tried(run: ClusterRun, member: Member) -> Log | str:
    try:
        with ctx_host.use(run.hosts[member.host]):
            return _read(run, member)
    except Exception as error:  # noqa: BLE001 - whatever a connector raises, the log was not read
        return str(error) or type(error).__name__


def _read(run: ClusterRun, member: Member) -> Log | str:
    folder = log_folder(member)
    listed = ask(run, member.host, Script("segments", f"ls {shlex.quote(folder)}; echo end"))
    names = sorted(one for one in listed if one.endswith(".wal") and "/" not in one)
    if listed[-1:] != ["end"]:
        raise OSError(f"found no list of {folder}")
    segments: list[bytes] = []
    # One that was just begun holds no entry yet.
    for name in reversed(names[-2:]):
        content = io.BytesIO()
        download(run, run.hosts[member.host], f"{folder}/{name}", content)
        segments.insert(0, content.getvalue())
        end = read_end(segments)
        if end is not None:
            return Log(names[-1], end, hashlib.sha256(segments[-1][: end.position]).hexdigest())
    return f"found no end of the log in {folder}"


def releases_for(member: Member, state: HostState, first: Version) -> list[str]:
    """List the folders of the releases that may read a host's data: the one that it runs, then all others.

    A release that does not start from what its predecessor has written is no reason to lose it (3.7 and records of 3.5).

    Args:
        member: the member.
        state: what the probe told of its host.
        first: the release that is tried first.
    """
    known = {version for text in state.releases if (version := _parsed(text)) is not None} - {first}
    return [f"{member.settings.etcd_prefix}/{one}" for one in (first, *sorted(known, reverse=True))]


def _parsed(text: str) -> Version | None:
    try:
        return versions.parse(text)
    except ValueError:
        return None


def give(
    run: ClusterRun, cluster: str, member: Member, state: HostState, releases: Sequence[str], first: Version
) -> Taken:
    """Take a snapshot of the data on a host by a throw-away etcd over a copy of it.

    It works whatever the host's own etcd does, and only reads its data. All of the log is in it: what a majority had
    agreed upon may be noted nowhere else.

    Args:
        run: the run.
        cluster: the cluster's name.
        member: whose data.
        state: what the probe told of its host.
        releases: folders of releases, in the order in which they are tried.
        first: the release of the first.

    Returns:
        What came of it, as from `backing_up.take`.
    """
    log = _tried(run, member)
    identity = state.data.identity
    if isinstance(log, str) or identity is None:
        return Taken(None, f"{log}, wanted it; next: look at that host's disk, or restore a snapshot")
    values = script(
        "drill.sh",
        "survivor.sh",
        log=log_folder(member),
        segment=log.segment,
        position=log.end.position,
        sum=log.sha256,
        record="".join(f"\\{byte:03o}" for byte in agreed(log.end)),
        releases=list(releases),
        cluster_id=f"{identity.cluster:016x}",
        member_id=f"{identity.member:016x}",
        arch=versions.unsupported_arch(first, versions.release_arch(state.machine)),
        seconds=member.settings.etcd_timeout,
        file="",
        sha256="",
    )
    job = job_script(cluster, member)
    lines = ask(
        run,
        member.host,
        Script("survivor", f"{job + ''}\n{values + ''}\ngive {shlex.quote('restore')} || :"),
        COMMAND_S,
    )
    return read_taken(lines)
