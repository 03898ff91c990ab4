"""Snapshots: taken from one member, copied to the controller, and taken on every member by a schedule."""

from __future__ import annotations

from collections.abc import Generator
from typing import IO, TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.backing_up import Taken, download, take
from etcd_steward.backups import backup_folder, keep, prune
from etcd_steward.failing import fail
from etcd_steward.operations.files import show_differences, writing
from etcd_steward.schedule import cron_mark, timer_name
from etcd_steward.shell import Content, script
from etcd_steward.snapshots import AHEAD_OF_MEMBERS, beyond

if TYPE_CHECKING:
    from etcd_steward.observed import HostState
    from etcd_steward.run import ClusterRun
    from etcd_steward.schedule import Schedule
    from etcd_steward.topology import Member

__all__ = ["fetched", "scheduled", "switch", "taken"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


@operation()
def taken(run: ClusterRun, cluster: str, source: Member) -> Commands:
    """
    Take a snapshot from one member into its host's folder, verified and with a manifest.

    + run: the run of this cluster
    + cluster: the cluster's name
    + source: the member that gives it; nothing happens on the other hosts
    """
    host = context.host
    if host.name != source.host:
        host.noop(f"{source.name} gives the snapshot")
        return
    if not host.state.is_executing:
        yield StringCommand("# take a snapshot of", source.name)
        return

    def work(state: State, host: Host) -> bool:
        result: Taken = run.once("snapshot", lambda: take(run, cluster, source, "backup"))
        if result.manifest is not None:
            told = result.manifest
            host.log(
                f"{source.settings.etcd_snapshot_dir}/{told.file}: revision {told.revision}, {told.keys} keys"
            )
        for name in result.pruned:
            host.log(f"{name} has had its time and was removed")
        return fail(state, host, result.problem) if result.problem else True

    yield FunctionCommand(work, (), {})


@operation()
def fetched(run: ClusterRun, source: Member, told: tuple[int, ...] = ()) -> Commands:
    """
    Copy the snapshot that was just taken to the controller; no readable copy is left on the host.

    + run: the run of this cluster
    + source: the member that gave it
    + told: the revisions that the other members have told, so that none far beyond them is believed
    """
    host = context.host
    folder = backup_folder(source.settings)
    if host.name != source.host:
        host.noop(f"{source.name} gives the snapshot")
        return
    if not host.state.is_executing:
        yield StringCommand("# copy it to", str(folder))
        return

    def work(state: State, host: Host) -> bool:
        result: Taken = run.once("snapshot", lambda: Taken(None, "no snapshot was taken"))
        manifest = result.manifest
        if manifest is None:
            return fail(state, host, result.problem)

        untrue = manifest.misnamed(run.name, source.name) or beyond(manifest, told, AHEAD_OF_MEMBERS)
        if untrue:
            return fail(state, host, untrue)

        def fetch(file: IO[bytes]) -> None:
            download(run, host, f"{source.settings.etcd_snapshot_dir}/{manifest.file}", file)

        try:
            path = keep(folder, manifest, fetch)
        except (OSError, ValueError) as error:
            return fail(state, host, str(error))
        host.log(f"{path}: {manifest.size} bytes, SHA-256 {manifest.sha256}")
        for name in prune(folder, source.settings):
            host.log(f"{folder / name} has had its time and was removed")
        return True

    yield FunctionCommand(work, (), {})


@operation()
def scheduled(schedule: Schedule, state: HostState) -> Commands:
    """
    Let a host take snapshots of its own member by a schedule: systemd's timer, or one line in root's crontab.

    + schedule: what the host needs, as `etcd_steward.schedule.schedule` works it out
    + state: what the probe told of the host
    """
    host = context.host
    lacking = schedule.lacking(state) if state.reached else []
    if not lacking:
        host.noop("snapshots are already scheduled" if schedule.wanted else "no snapshots are scheduled")
        return
    files = [file for file in schedule.files if file.path in lacking]
    show_differences(files)
    if not host.state.is_executing:
        yield StringCommand("# schedule snapshots:", ", ".join(lacking))
        return
    switched = switch(schedule, lacking)
    yield writing(
        [Content(file.path, file.content, file.mode, file.owner) for file in files],
        # What is started here lives on: it must not inherit the lock of `guard.sh`.
        after=f"{{ {switched}\n}} 9>&-" if switched else "",
    )


def switch(schedule: Schedule, lacking: list[str]) -> str:
    """Write the shell text that makes a written schedule work, or ends it.

    Args:
        schedule: the schedule.
        lacking: what `Schedule.lacking` told.
    """
    if schedule.init == "openrc":
        parts = []
        if schedule.table in lacking or not schedule.wanted:
            parts.append(
                script("cron.sh", table=schedule.table, mark=cron_mark(schedule.service), line=schedule.line)
                + ""
            )
        if "enabled" in lacking:
            parts.append("rc-update --quiet add crond default")
        if "active" in lacking:
            parts.append("rc-service --quiet crond start")
        return "\n".join(parts)
    timer = timer_name(schedule.service)
    if not schedule.wanted:
        return f"systemctl disable --quiet --now {timer}"
    # `restart`, as a running timer keeps the times of the unit that it was started from.
    return f"systemctl daemon-reload\nsystemctl enable --quiet {timer}\nsystemctl restart {timer}"
