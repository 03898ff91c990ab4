"""The controller's copies of snapshots: a folder for each cluster, readable by nobody else."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from etcd_steward.locking import has_ended, mark
from etcd_steward.settings import Settings
from etcd_steward.snapshots import Manifest, prunable

__all__ = ["backup_folder", "digest", "keep", "kept", "prune"]


def backup_folder(settings: Settings) -> Path:
    """Say where the controller keeps a cluster's snapshots."""
    return Path(settings.etcd_backup_dir).expanduser() / settings.etcd_cluster


def kept(folder: Path) -> list[Manifest]:
    """List the snapshots in a folder on the controller.

    Args:
        folder: the folder, which may be missing.

    Returns:
        The manifests whose files are there; what cannot be read is none, nor is one whose name is not that of its file.
    """
    # As on the hosts: a copy of a manifest must not let the file that both name count twice.
    found = [(path, Manifest.read(_read(path))) for path in sorted(folder.glob("*.json"))]
    return [
        one for path, one in found if one and one.file == f"{path.stem}.db" and (folder / one.file).is_file()
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Args:
        path: the file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(folder: Path, manifest: Manifest, fetch: Callable[[IO[bytes]], object]) -> Path:
    """Fetch a snapshot and keep it with its manifest, each put in place in one step.

    Args:
        folder: where; made with mode 0700 where it is missing.
        manifest: what it should be.
        fetch: writes the snapshot into an open file.

    Returns:
        Its path.

    Raises:
        ValueError: what came is not what the manifest names; nothing is kept.
    """
    _make(folder)
    for left in folder.glob(".*.new"):
        if has_ended(left.name.split(".")[-2]):
            left.unlink()
    temporary, path = folder / f".{manifest.file}.{mark()}.new", folder / manifest.file
    try:
        with _private(temporary) as file:
            fetch(file)
            file.flush()
            os.fsync(file.fileno())
        found = digest(temporary)
        if found != manifest.sha256:
            raise ValueError(
                f"found a copy with SHA-256 {found}, wanted {manifest.sha256}; next: run again, and look at the disk"
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    beside = path.with_suffix(".json")
    with _private(temporary) as file:
        file.write(f"{manifest.line}\n".encode())
    temporary.replace(beside)
    return path


def _private(path: Path) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _make(folder: Path) -> None:
    if not folder.parent.exists():
        folder.parent.mkdir(parents=True, mode=0o700)
        # Operators run in a repository of their own, and a snapshot holds every secret of a Kubernetes cluster.
        (folder.parent / ".gitignore").write_text("*\n")
    folder.mkdir(mode=0o700, exist_ok=True)


def prune(folder: Path, settings: Settings) -> list[str]:
    """Remove what has had its time; only what manifests name.

    Args:
        folder: the cluster's folder on the controller.
        settings: how many and how old.

    Returns:
        The names of the files that were removed.
    """
    old = prunable(kept(folder), int(time.time()), settings.etcd_snapshot_keep, settings.etcd_snapshot_days)
    for one in old:
        # Another run may have been first.
        (folder / one.file).unlink(missing_ok=True)
        (folder / one.file).with_suffix(".json").unlink(missing_ok=True)
    return [one.file for one in old]
