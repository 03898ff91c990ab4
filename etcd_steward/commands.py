"""The commands that change a member's host, put together from what is left to do on it."""

from __future__ import annotations

from collections.abc import Callable

from pyinfra.api import StringCommand

from etcd_steward.certificates import Pair, Role
from etcd_steward.desired import Desired, WantedFile
from etcd_steward.observed import HostState
from etcd_steward.operations.files import writing
from etcd_steward.runtimes import Runtime, runtime
from etcd_steward.settings import Settings
from etcd_steward.shell import Content, script
from etcd_steward.topology import Member
from etcd_steward.work import Work, key_owner, tools

__all__ = ["MAY_START_EMPTY", "apply_command", "contents"]

# A member's consent to start without data, see templates/start-check.sh.j2: it ends when the data has come, and after
# ten minutes, so that it outlives no join, not even one that was cut.
MAY_START_EMPTY = "/run/etcd-steward/may-start-empty"


def contents(
    member: Member,
    roles: list[Role],
    files: list[WantedFile],
    pair: Callable[[Member, Role], Pair],
) -> list[Content]:
    """Make the contents that go to a host; keys are made here and nowhere kept.

    Args:
        member: the host's member.
        roles: the certificates to make.
        files: the files to write.
        pair: makes a certificate and its key.

    Returns:
        The contents, every key directly before its certificate, so that the two are switched together.
    """
    made = [Content(file.path, file.content, file.mode, file.owner) for file in files]
    for role in roles:
        new = pair(member, role)
        owner, mode = key_owner(member, role)
        key_path = member.settings.certificate_path(f"{role}_key", member.name)
        made.append(Content(key_path, new.key_pem, mode, owner, with_next=True))
        made.append(Content(member.settings.certificate_path(role, member.name), new.certificate_pem))
    return made


def apply_command(
    member: Member,
    state: HostState,
    left: Work,
    wanted: Desired,
    made: list[Content],
    *,
    stop: bool,
    start: bool,
    aside: bool = False,
    empty: bool = False,
) -> StringCommand:
    """Make the one command that brings a member's host to what is wanted.

    Args:
        member: the host's member.
        state: what the probe told of it.
        left: what is left to do.
        wanted: what should lie there.
        made: the contents to write.
        stop: stop the service first.
        start: start it last.
        aside: move the member's data aside, in place.
        empty: let the service start this once without data, as the member's data will come from the others.

    Returns:
        The command; contents travel over standard input.
    """
    settings = member.settings
    run = runtime(settings, state.init, wanted.version)
    before, after = [], []
    if start and run.fetch:
        before.append(_apart(run.fetch))
    if left.folders:
        before.append(
            script("enter.sh", "folders.sh", folders=[word for folder in left.folders for word in folder])
            + ""
        )
    if empty:
        after.append(script("consent.sh", consent=MAY_START_EMPTY, owner=":".join(settings.run_as)) + "")
    if left.link:
        release = f"{settings.etcd_prefix}/{wanted.version}"
        after.append(
            script("link.sh", bin_dir=settings.etcd_bin_dir, release=release, tools=tools(wanted.version))
            + ""
        )
    if state.service.reload_due or any(content.path == run.definition for content in made):
        after.append(_apart(run.load))
    if left.enable:
        after.append(_apart(run.enable))
    if start:
        after.append(f"trap - EXIT\n{_apart(run.start)}")
    return writing(
        made,
        "\n".join(before),
        "\n".join(after),
        _stopped(settings, run, stop=stop, back=stop and start and not aside, aside=aside),
    )


def _stopped(settings: Settings, run: Runtime, *, stop: bool, back: bool, aside: bool) -> str:
    """Write what stops a member once all that it gets is on the disk; where its data stays, it comes back whatever fails."""
    parts = [_started_again(run.start)] if back else []
    if stop:
        parts.append(_apart(run.stop))
    if aside:
        values = {"data_dir": settings.etcd_data_dir, "wal_dir": settings.etcd_wal_dir, "incoming": None}
        parts.append(script("aside.sh", **values) + "")
    return "\n".join(parts)


def _started_again(start: str) -> str:
    """Write what starts a member again that was stopped for a change which then fails."""
    return "\n".join(
        [
            "start_again() {",
            "ended=$?",
            'if [ "$ended" != 0 ]; then',
            'echo "the change failed, so what was stopped for it is started again" >&2',
            "cd /",
            f"{_apart(start)} || :",
            "fi",
            'exit "$ended"',
            "}",
            "trap start_again EXIT",
        ]
    )


def _apart(command: str) -> str:
    # What a service manager starts lives on: it must not inherit the lock of `guard.sh`.
    return f"{{ {command}; }} 9>&-"
