"""A secret that is made once and kept beside a cluster's authorities on the controller."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from etcd_steward.private import private_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["keep_secret", "read_secret"]


def read_secret(path: Path) -> str | None:
    """Read a secret.

    Args:
        path: its file.

    Returns:
        The secret; None where there is none yet.

    Raises:
        ValueError: its file is readable by others, or empty.
        OSError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().strip()
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise ValueError(
            f"{path} with mode {mode:o}, wanted 600; next: chmod 600 it, and think of who has read it"
        )
    if not text:
        raise ValueError(f"{path} empty, wanted a secret; next: bring it back from a backup")
    return text


def keep_secret(path: Path) -> str:
    """Make a secret and keep it, unless another run has just done so.

    Args:
        path: its file; its folder is made if needed, for this account alone.

    Returns:
        The secret, 64 hexadecimal digits where it was made here.

    Raises:
        OSError: it cannot be kept.
    """
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_hex(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    made = read_secret(path)
    assert made is not None  # noqa: S101 - it has just been kept
    return made
