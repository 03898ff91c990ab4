"""What was verified on the controller goes onto a host, and is verified there once more before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand

from etcd_steward.downloads import ReleaseError
from etcd_steward.failing import failing
from etcd_steward.shell import script

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from etcd_steward.downloads import Archive
    from etcd_steward.shell import Script

__all__ = ["folder", "placed", "uploaded"]


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
    return staging, f"set -e\n{lines}"


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
