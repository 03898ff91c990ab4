"""A restore: the snapshot brought here and tried, laid beside the data on every host, and switched in while all are stopped."""

from __future__ import annotations

import posixpath
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FunctionCommand, Host, State, StringCommand, operation

from etcd_steward.backing_up import login_folder, upload
from etcd_steward.drilling import Trial, try_out
from etcd_steward.failing import fail, not_now
from etcd_steward.identity import parse_wal_head
from etcd_steward.restored import bump_words, counted_again, incoming, staged_revision, switch
from etcd_steward.runtimes import runtime
from etcd_steward.schedule import job_script
from etcd_steward.shell import Script, guard, script
from etcd_steward.snapshots import differences
from etcd_steward.storage import RECORDS
from etcd_steward.talk import ask, ctl
from etcd_steward.waits import COMMAND_S

if TYPE_CHECKING:
    from etcd_steward.restoration import Restoration
    from etcd_steward.topology import Member

__all__ = ["compared", "obtained", "staged", "stopped", "switched", "tried"]

Commands = Generator[StringCommand | FunctionCommand, None, None]


def _first(run: Restoration) -> Member:
    return run.job().sight.cluster.members[0]


def _release(run: Restoration, member: Member) -> str:
    return f"{member.settings.etcd_prefix}/{run.job().wanted[member.host].version}"


@operation()
def obtained(run: Restoration) -> Commands:
    """
    Bring the snapshot to the controller; a survivor without a quorum takes it first, where it is to give it.

    + run: the restore; the first member's host books it
    """
    host = context.host
    restore = run.restore()
    names = [restore.trial.manifest.file] if restore.trial else []
    names += [f"a snapshot of {restore.survivor.name}"] if restore.survivor else []
    if host.name != _first(run).host or not names:
        host.noop("the snapshot is obtained once for all")
        return
    if not host.state.is_executing:
        yield StringCommand("# obtain", names[0])
        return

    def work(state: State, host: Host) -> bool:
        problem = run.once("obtained", run.obtain)
        return fail(state, host, problem) if problem else True

    yield FunctionCommand(work, (), {})


@operation()
def tried(run: Restoration) -> Commands:
    """
    Restore the snapshot into a throw-away etcd on one host, and compare keys, revision and hash with its manifest.

    + run: the restore
    """
    host = context.host
    restore = run.restore()
    if host.name != _first(run).host or (restore.trial is None and restore.survivor is None):
        host.noop("the snapshot is tried once for all")
        return
    instead = not_now(host, run.failures, StringCommand("# try the snapshot"), "not tried")
    if instead is not None:
        yield instead
        return

    def work(state: State, host: Host) -> bool:
        member = _first(run)
        manifest = run.manifest
        trial = Trial(manifest, member, str(run.file), here=True)
        machine = run.job().sight.hosts[host.name].machine
        cluster = run.job().sight.cluster.name
        release = run.job().wanted[host.name].version
        found, problem = try_out(
            run.cluster_run, cluster, trial, machine, release, bin_dir=_release(run, member)
        )
        if found is None:
            return fail(state, host, problem)
        wrong, untold = differences(manifest, found)
        for note in untold:
            host.log_styled(f"note: {note}", fg="yellow")
        if wrong:
            return fail(state, host, f"{'; '.join(wrong)}, in {run.file}; next: restore another snapshot")
        host.log(
            f"{manifest.file} holds {found.keys if manifest.keys is None else manifest.keys} keys of {manifest.time}, revision {manifest.revision}"
        )
        return True

    yield FunctionCommand(work, (), {})


@operation()
def staged(run: Restoration) -> Commands:
    """
    Restore the snapshot beside the member's data, which goes on serving meanwhile.

    + run: the restore
    """
    host = context.host
    restore = run.restore()
    if host.name in restore.staged | restore.switched:
        host.noop("the data lies there already")
        return
    member = run.job().sight.cluster.member(host.name)
    place = f"{member.settings.etcd_data_dir}/member.{incoming(restore.record)}"
    # Its ending is new in every run.
    instead = not_now(
        host,
        run.failures,
        StringCommand("# restore into", f"{member.settings.etcd_data_dir}/member.new-…"),
        "not staged",
    )
    if instead is not None:
        yield instead
        return

    def work(state: State, host: Host) -> bool:
        problem, note = _stage(run, host, member)
        if problem:
            return fail(state, host, problem)
        host.log(f"{place}: {note}")
        return True

    yield FunctionCommand(work, (), {})


def _stage(run: Restoration, host: Host, member: Member) -> tuple[str, str]:
    manifest, record, settings = run.manifest, run.restore().record, member.settings
    bump = run.bump()
    try:
        with login_folder(run.cluster_run, host) as folder:
            path = upload(host, str(run.file), folder, manifest.file)
            values = script(
                "restore.sh",
                file=path,
                sha256=manifest.sha256,
                incoming=incoming(record),
                owner=":".join(settings.run_as),
                name=member.name,
                members=",".join(f"{one.name}={one.peer_url}" for one in run.job().sight.cluster.members),
                peer_url=member.peer_url,
                token=record.token,
                bump=bump_words(bump),
                spare_mb=settings.etcd_min_free_mb,
                data_dir=settings.etcd_data_dir,
                wal_dir=settings.etcd_wal_dir,
                beside=[posixpath.dirname(settings.config_path), RECORDS],
            )
            job = job_script(run.cluster_run.name, member, bin_dir=_release(run, member))
            folders = script(
                "enter.sh",
                "folders.sh",
                folders=[
                    word
                    for folder in filter(None, (settings.etcd_data_dir, settings.etcd_wal_dir))
                    for word in (folder, "700", ":".join(settings.run_as))
                ],
            )
            parts = (guard(), folders + "", job + "", values + "")
            lines = ask(run.cluster_run, host.name, Script("restore", "\n".join(parts)), COMMAND_S)
    except OSError as error:
        return str(error), ""
    told = {word: rest for word, _, rest in (line.partition(" ") for line in lines)}
    if "failed" in told:
        return told["failed"], ""
    if told.get("staged") == "already":
        return "", "is there already"
    identity = parse_wal_head(bytes.fromhex(told.get("ids", "")))
    found = (f"{identity.member:016x}", f"{identity.cluster:016x}") if identity else ("none", "none")
    wanted = (record.members[member.name], record.id)
    revision = staged_revision(told.get("proof", ""))
    if told.get("staged") != "now" or found != wanted:
        said = " ".join(lines[-2:])
        return f"found ids {' of '.join(found)} ({said}), wanted {' of '.join(wanted)}; next: run again", ""
    if revision != manifest.revision + bump:
        return (
            f"found revision {revision}, wanted {manifest.revision + bump}; next: restore another snapshot",
            "",
        )
    jump = f", which is {manifest.revision} and {bump} so that watchers notice" if bump else ""
    return "", f"revision {revision}{jump}"


@operation()
def stopped(run: Restoration) -> Commands:
    """
    Stop the old member and prove it; nothing is stopped unless every host has its new data beside the old.

    + run: the restore
    """
    host = context.host
    if host.name in run.restore().switched:
        host.noop("the new data is in its place already")
        return
    member = run.job().sight.cluster.member(host.name)
    instead = not_now(host, run.failures, StringCommand("# stop", member.name), "not stopped")
    if instead is not None:
        yield instead
        return
    state = run.job().sight.hosts[host.name]
    if state.service.exists:
        stop = runtime(member.settings, state.init).stop
        yield StringCommand("\n".join([guard(), f"{{ {stop}; }} 9>&-"]))

    def prove(state: State, host: Host) -> bool:
        settings = member.settings
        ports = [str(settings.etcd_client_port), str(settings.etcd_peer_port)]
        question = ctl(member, "stopped.sh", ports=ports, data_dir=settings.etcd_data_dir)
        lines = ask(run.cluster_run, host.name, question, COMMAND_S)
        if lines == ["looked"]:
            return True
        told = (
            ", ".join(line.removeprefix("still ") for line in lines if line.startswith("still "))
            or "no answer"
        )
        return fail(
            state,
            host,
            f"found {told} after etcd was stopped, wanted it gone; next: stop what is still there, then run again",
        )

    yield FunctionCommand(prove, (), {})


@operation()
def switched(run: Restoration) -> Commands:
    """
    Move the old data aside, in place, and the restored one to where it was.

    + run: the restore
    """
    host = context.host
    if host.name in run.restore().switched:
        host.noop("the new data is in its place already")
        return
    member = run.job().sight.cluster.member(host.name)
    instead = not_now(host, run.failures, StringCommand("# switch the data of", member.name), "not switched")
    if instead is not None:
        yield instead
        return
    settings = member.settings
    change = switch(settings.etcd_data_dir, settings.etcd_wal_dir, incoming(run.restore().record))
    yield StringCommand(f"{guard()}\n{change}")


@operation()
def compared(run: Restoration) -> Commands:
    """
    Compare the restored cluster with the manifest, before anything is written to it.

    + run: the restore
    """
    host = context.host
    if host.name != _first(run).host:
        host.noop("the cluster is compared once for all")
        return
    instead = not_now(
        host, run.failures, StringCommand("# compare keys and revision with the manifest"), "not compared"
    )
    if instead is not None:
        yield instead
        return

    def work(state: State, host: Host) -> bool:
        member, manifest = _first(run), run.manifest
        revision = manifest.revision + run.bump()
        question = ctl(member, "restored.sh", endpoint=member.loopback_url, revision=revision)
        (line, *_) = [*ask(run.cluster_run, host.name, question), "unknown no answer"]
        problem, said = counted_again(line, manifest.keys, revision)
        if problem:
            return fail(state, host, problem)
        if said.startswith("note: "):
            host.log_styled(said, fg="yellow")
        else:
            host.log(said)
        return True

    yield FunctionCommand(work, (), {})
