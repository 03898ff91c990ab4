"""Puts a release onto all hosts from within one operation, where pyinfra itself goes through the hosts one by one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import gevent

from etcd_steward import releases, uploads
from etcd_steward.backing_up import login_folder, upload
from etcd_steward.shell import Script
from etcd_steward.talk import ask
from etcd_steward.waits import COMMAND_S

if TYPE_CHECKING:
    from pyinfra.api import Host

    from etcd_steward.converge import Converge
    from etcd_steward.releases import Archive
    from etcd_steward.versions import Version

__all__ = ["stage_everywhere"]


def stage_everywhere(run: Converge, step: Version) -> str:
    """Put a release beside the others on every host that is about to get it.

    Args:
        run: the run of the cluster.
        step: the release.

    Returns:
        What went wrong, by host; empty where all have it.
    """
    job = run.job()
    wanting = [host for host in job.order if host in run.cluster_run.limited()]
    lacking = [host for host in wanting if str(step) not in job.sight.hosts[host].releases]
    hosts = {name: run.cluster_run.hosts[name] for name in lacking}
    try:
        archives = {name: run.archive(host)() for name, host in hosts.items()}
    except releases.ReleaseError as error:
        return str(error)
    jobs = {name: gevent.spawn(_stage, run, host, step, archives[name]) for name, host in hosts.items()}
    gevent.joinall(list(jobs.values()))
    problems = {name: job.get() for name, job in jobs.items()}
    return "; ".join(f"{name}: {said}" for name, said in problems.items() if said)


def _stage(run: Converge, host: Host, step: Version, archive: Archive) -> str:
    arch = run.arch(host.name)
    prefix = run.job().sight.cluster.member(host.name).settings.etcd_prefix
    name = releases.archive_name(step, arch)
    staging, made = uploads.folder(prefix)
    unpack = uploads.placed("unpack.sh", prefix, name, "an archive", archive, version=str(step), arch=arch)
    try:
        with login_folder(run.cluster_run, host) as folder:
            copy = upload(host, str(archive.path), folder, name)
            lines = [
                "said=$(",
                "{",
                made,
                f"cp {shlex.quote(copy)} {staging}/{name}",
                unpack + "",
                # After && the shell would have passed over `set -e`.
                "} 2>&1 >/dev/null)",
                """[ $? = 0 ] || { printf '%s\\n' "$said"; exit 0; }""",
                "echo staged",
            ]
            said = ask(run.cluster_run, host.name, Script("stage", "\n".join(lines)), COMMAND_S)
    except OSError as error:
        return str(error)
    return (
        "" if said[-1:] == ["staged"] else " ".join(said[-2:]) or "found no answer, wanted the release there"
    )
