"""What was verified on the controller goes onto a host, and is verified there once more before it is used."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from gevent.lock import BoundedSemaphore
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand

from etcd_steward.downloads import ReleaseError
from etcd_steward.failing import failing
from etcd_steward.shell import script
from etcd_steward.templating import text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pyinfra.api import Host, State

    from etcd_steward.downloads import Archive
    from etcd_steward.shell import Script

__all__ = ["due", "folder", "obtained", "placed", "uploaded"]


@dataclass
class _Due:
    """What a run of pyinfra is about to put onto hosts, and what came of obtaining it."""

    downloads: list[Callable[[], Archive]] = field(default_factory=list)
    problem: str | None = None
    lock: BoundedSemaphore = field(default_factory=BoundedSemaphore)


_DUE: WeakKeyDictionary[State, _Due] = WeakKeyDictionary()


# The fragments that a fragment needs; all others need what asks a program for its version.
_NEEDS = {"bundle.sh": ("kept.sh",)}


def folder(prefix: str) -> tuple[str, str]:
    """Tell where uploads go.

    Args:
        prefix: folder in which every release has one of its own.

    Returns:
        The folder for uploads, which only root can enter, and the shell lines that make it.
    """
    staging = f"{prefix}/.staging"
    lines = f"umask 077\nmkdir -p {prefix} {staging}\nchmod 755 {prefix}\nchmod 700 {staging}\nchown root:root {staging}"
    # Root runs what it puts there.
    trusted = f"{text('enter.sh')}\nenter_programs {shlex.quote(prefix)} || exit 1\ncd /"
    return staging, f"set -e\n{trusted}\n{lines}"


def placed(
    fragment: str, prefix: str, file: str, called: str, archive: Archive, **values: str | None
) -> Script:
    """Write the script that verifies an upload and puts it beside other releases.

    Args:
        fragment: the file in `templates/` that puts it there.
        prefix: folder in which every release has one of its own.
        file: the upload's name in the folder of `folder`.
        called: what it is, with an article, for the refusal of another one.
        archive: what was verified on the controller.
        values: what else the fragment needs.

    Returns:
        The script.
    """
    staging, _ = folder(prefix)
    return script(
        "guard.sh",
        *_NEEDS.get(fragment, ("asked.sh",)),
        "matches.sh",
        fragment,
        staging=staging,
        file=file,
        called=called,
        sha256=archive.sha256,
        prefix=prefix,
        **values,
    )


def due(host: Host, obtain: Callable[[], Archive], *, missing: bool) -> Callable[[], Archive]:
    """Note what an operation of a verb uploads, so that it is here and verified before the first host is changed.

    A verb calls it where it calls the operation: under -y pyinfra asks an operation nothing before it is executed.

    Args:
        host: the host that is to get it.
        obtain: returns the verified file on the controller, or raises `ReleaseError`.
        missing: whether the host lacks it.

    Returns:
        What was given to obtain it.
    """
    if missing:
        _DUE.setdefault(host.state, _Due()).downloads.append(obtain)
    return obtain


def obtained(state: State) -> str:
    """Obtain all that was noted, once in a run; the first operation of every verb that uploads something asks for it.

    Args:
        state: pyinfra's run.

    Returns:
        Why something cannot be had, or must not be used; empty where all is here and verified.
    """
    noted = _DUE.setdefault(state, _Due())
    with noted.lock:
        if noted.problem is None:
            try:
                for obtain in noted.downloads:
                    obtain()
                noted.problem = ""
            except ReleaseError as error:
                noted.problem = f"{error}; no host was changed"
        return noted.problem


def uploaded(
    obtain: Callable[[], Archive], fragment: str, prefix: str, file: str, called: str, **values: str | None
) -> Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]:
    """Obtain a file, upload it, and put it beside other releases; an operation yields from this when it is executed.

    Args:
        obtain: returns the verified file on the controller, or raises `ReleaseError`, which fails the operation.
        fragment: as in `placed`.
        prefix: as in `placed`.
        file: as in `placed`.
        called: as in `placed`.
        values: as in `placed`.
    """
    try:
        archive = obtain()
    except ReleaseError as error:
        yield failing(str(error))
        return
    staging, made = folder(prefix)
    yield StringCommand(made)
    yield FileUploadCommand(str(archive.path), f"{staging}/{file}")
    yield StringCommand(placed(fragment, prefix, file, called, archive, **values))
