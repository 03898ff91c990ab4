"""Folders on the controller that hold secrets: for this account alone, and kept out of git."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NotPrivateError", "private_folder"]

_OTHERS = 0o077
_ALL = "*"


class NotPrivateError(OSError):
    """A folder for secrets that others can enter, and that is not ours to close."""


def private_folder(folder: Path) -> None:
    """Make a folder for this account alone and hide it from git; where it was there before, both are made good.

    Args:
        folder: the folder. Of what is above it only what is made here is hidden as well: the rest may be the operator's
            own repository.

    Raises:
        NotPrivateError: others can enter it, and it cannot be closed.
        OSError: it cannot be made.
    """
    if not folder.parent.exists():
        folder.parent.mkdir(mode=0o700, parents=True)
        try:
            _hide_from_git(folder.parent)
        except OSError:
            # Else the next run would take it for somebody else's, which is not hidden.
            folder.parent.rmdir()
            raise
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if found.st_mode & _OTHERS and found.st_uid == os.geteuid():
        folder.chmod(0o700)
        found = folder.stat()
    if found.st_mode & _OTHERS:
        raise NotPrivateError(
            f"{folder}: found mode {stat.S_IMODE(found.st_mode):o} of account {found.st_uid}, wanted 700, as secrets lie "
            "there; next: give it to this account, or set another folder"
        )
    _hide_from_git(folder)


def _hide_from_git(folder: Path) -> None:
    path = folder / ".gitignore"
    try:
        before = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        before = []
    if _ALL in before:
        return
    # Whole or not at all, also where the disk is full: half a file hides nothing.
    temporary = folder / f".gitignore.{os.getpid()}.new"
    try:
        with temporary.open("w") as file:
            file.write("".join(f"{line}\n" for line in [*before, _ALL]))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
