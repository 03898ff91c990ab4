"""Scheduled snapshots: the job on a member's host, and what starts it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etcd_steward import rights
from etcd_steward.desired import WantedFile
from etcd_steward.observed import HostState
from etcd_steward.platforms import INITS
from etcd_steward.settings import Settings
from etcd_steward.shell import Script, script
from etcd_steward.templating import render
from etcd_steward.topology import Cluster, Member

__all__ = [
    "Schedule",
    "cron_mark",
    "job_path",
    "job_script",
    "schedule",
    "schedule_paths",
    "timer_name",
    "unscheduled",
]

_TABLE = "/etc/crontabs/root"


def job_path(service: str) -> str:
    """Say where the job lies on a host."""
    return f"/etc/etcd-steward/{service}-snapshot"


def timer_name(service: str) -> str:
    """Say what systemd calls the timer."""
    return f"{service}-snapshot.timer"


def cron_mark(service: str) -> str:
    """Return the words by which our line in root's crontab is known."""
    return f"# written by etcd-steward: {service}-snapshot"


def schedule_paths(settings: Settings) -> list[str]:
    """List the files of the schedule on all init systems, for the probe.

    Args:
        settings: the host's settings.

    Returns:
        Absolute paths.
    """
    units = f"/etc/systemd/system/{settings.etcd_service}-snapshot"
    return [job_path(settings.etcd_service), f"{units}.service", f"{units}.timer"]


def job_script(cluster: str, member: Member, *, quorum: bool = True, bin_dir: str = "") -> Script:
    """Write the functions that take a snapshot: the scheduled job and the verbs use the same.

    Args:
        cluster: the cluster's name.
        member: the member that is asked, on its own host.
        quorum: whether only a healthy member may be asked; without, a lone survivor gives what it has.
        bin_dir: where the programs lie, where they are not the linked ones.

    Returns:
        Shell text that ends with the definition of `snapshot ORIGIN`.
    """
    settings = member.settings
    return script(
        "ctl.sh",
        "snapshot.sh",
        bin_dir=bin_dir or settings.etcd_bin_dir,
        ca=settings.certificate_path("ca", member.name),
        cert=settings.certificate_path("health", member.name),
        key=settings.certificate_path("health_key", member.name),
        user=rights.user(member),
        endpoint=member.loopback_url,
        folder=settings.etcd_snapshot_dir,
        data_dir=settings.etcd_data_dir,
        cluster=cluster,
        member=member.name,
        quorum="yes" if quorum else "no",
        spare_mb=settings.etcd_min_free_mb,
        keep=settings.etcd_snapshot_keep,
        days=settings.etcd_snapshot_days,
        hours=settings.etcd_snapshot_hours,
        command=settings.etcd_snapshot_command,
    )


@dataclass(frozen=True)
class Schedule:
    """What a host needs so that snapshots are taken there.

    Args:
        service: the name of etcd's service, from which all other names follow.
        init: the init system.
        wanted: whether there is to be a schedule at all.
        files: the job, and systemd's units.
        line: the line in root's crontab, without systemd.
    """

    service: str
    init: str
    wanted: bool
    files: tuple[WantedFile, ...] = field(default=(), repr=False)
    line: str = ""

    @property
    def table(self) -> str:
        """Root's crontab."""
        return _TABLE

    def lacking(self, state: HostState) -> list[str]:
        """Say what a host lacks.

        Args:
            state: what the probe told of it.

        Returns:
            Paths that differ, `enabled` and `active`; empty where all is as it should be.
        """
        found = state.schedule
        if not self.wanted:
            on = found.line if self.init == "openrc" else found.enabled or found.active
            return ["disabled"] if on else []
        told = [file.path for file in self.files if not file.lies_on(state)]
        if self.init == "openrc" and found.line != self.line:
            told.append(_TABLE)
        return [
            *told,
            *(["enabled"] if not found.enabled else []),
            *(["active"] if not found.active else []),
            *(["loaded"] if found.reload_due else []),
        ]


def schedule(cluster: Cluster, member: Member, init: str) -> Schedule:
    """Work out the schedule of one member; each takes its own snapshots, at another minute than its neighbours.

    Args:
        cluster: the cluster.
        member: whose host.
        init: its init system.

    Returns:
        The schedule.
    """
    settings = member.settings
    service = settings.etcd_service
    if not settings.etcd_snapshots:
        return Schedule(service, init, wanted=False)
    # Names that count up lie 17 minutes apart, and nobody's minute changes when members come and go.
    minute = 17 * sum(member.name.encode()) % 60
    content = "\n".join(
        [
            "#!/bin/sh",
            "# Written by etcd-steward; changes here are overwritten.",
            "# Usage: sh THIS [by-hand]; as `scheduled` it takes a snapshot only when one is due.",
            job_script(cluster.name, member) + "",
            'snapshot "${1:-by-hand}"',
            "",
        ]
    )
    job = WantedFile(job_path(service), content, "700", "root:root", turn=False)
    if init != "systemd":
        line = (
            f"{minute} * * * * nice -n 10 /bin/sh {job.path} scheduled 2>&1 "
            f"| logger -t {service}-snapshot -p cron.info {cron_mark(service)}"
        )
        return Schedule(service, init, wanted=True, files=(job,), line=line)
    values = {
        "cluster": cluster.name,
        "member": member.name,
        "service": service,
        "job": job.path,
        "minute": minute,
    }
    _, unit, timer = schedule_paths(settings)
    return Schedule(
        service,
        init,
        wanted=True,
        files=(
            job,
            WantedFile(unit, render("snapshot.service.j2", **values), "644", "root:root", turn=False),
            WantedFile(timer, render("snapshot.timer.j2", **values), "644", "root:root", turn=False),
        ),
    )


def unscheduled(cluster: Cluster, hosts: Mapping[str, HostState]) -> dict[str, tuple[str, ...]]:
    """Find the hosts whose schedule is not as it should be.

    Args:
        cluster: the cluster.
        hosts: what the probes told; of a host that was not reached, or whose init system is unknown, nothing is said.

    Returns:
        What `Schedule.lacking` told, for each host where it told anything.
    """
    lacking = {
        member.host: tuple(schedule(cluster, member, hosts[member.host].init).lacking(hosts[member.host]))
        for member in cluster.members
        if hosts[member.host].reached and hosts[member.host].init in INITS
    }
    return {host: told for host, told in lacking.items() if told}
