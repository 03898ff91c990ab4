"""The controller's copies of snapshots: a folder for each cluster, readable by nobody else."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from etcd_steward.locking import has_ended, mark
from etcd_steward.private import private_folder
from etcd_steward.settings import Settings
from etcd_steward.snapshots import Manifest, prunable

__all__ = ["backup_folder", "digest", "keep", "kept", "prune", "unlike"]

# etcdctl appends a SHA-256 to the pages of the database (templates/snapshot.sh: whole).
_PAGE, _OWN = 512, hashlib.sha256().digest_size


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


def unlike(path: Path, manifest: Manifest) -> str:
    """Compare a file on the controller with its manifest, and with the digest that etcdctl appends to every snapshot.

    Args:
        path: the file.
        manifest: what it should be.

    Returns:
        What differs, as "found …, wanted …"; empty where nothing does.
    """
    size = path.stat().st_size
    if size != manifest.size:
        return f"found {size} bytes in {path}, wanted {manifest.size}"
    own = hashlib.sha256()
    with path.open("rb") as file:
        left = size - _OWN
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            own.update(block)
            left -= len(block)
        end = file.read()
    if size % _PAGE != _OWN or own.digest() != end:
        return f"found {path} without the digest that etcd appends, wanted a whole snapshot"
    own.update(end)
    if own.hexdigest() != manifest.sha256:
        return f"found SHA-256 {own.hexdigest()} of {path}, wanted {manifest.sha256}"
    return ""


def keep(folder: Path, manifest: Manifest, fetch: Callable[[IO[bytes]], object]) -> Path:
    """Fetch a snapshot and keep it with its manifest, each put in place in one step; no good copy is ever written over.

    Args:
        folder: where; made with mode 0700 where it is missing.
        manifest: what it should be.
        fetch: writes the snapshot into an open file.

    Returns:
        Its path. A copy that is here already is not fetched again.

    Raises:
        ValueError: what came is not what the manifest names, or another copy has its name; nothing is kept.
    """
    problem = manifest.misnamed()
    if problem:
        raise ValueError(problem)
    private_folder(folder)
    for left in folder.glob(".*.new"):
        if has_ended(left.name.split(".")[-2]):
            left.unlink()
    temporary, path = folder / f".{manifest.file}.{mark()}.new", folder / manifest.file
    beside = path.with_suffix(".json")
    if _lies_here(path, beside, manifest):
        return path
    try:
        with _private(temporary) as file:
            fetch(file)
            file.flush()
            os.fsync(file.fileno())
        problem = unlike(temporary, manifest)
        if problem:
            raise ValueError(f"{problem}; next: run again, and look at the disk")
        # Another run may have been first.
        if not _lies_here(path, beside, manifest):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if not beside.exists():
        with _private(temporary) as file:
            file.write(f"{manifest.line}\n".encode())
        temporary.replace(beside)
    return path


def _lies_here(path: Path, beside: Path, manifest: Manifest) -> bool:
    """Say whether this very snapshot is here, and refuse a host's word against what was kept earlier."""
    known = Manifest.read(_read(beside))
    if known is not None and replace(known, line="") != replace(manifest, line=""):
        raise ValueError(
            f"found {path} kept with SHA-256 {known.sha256} and revision {known.revision}, wanted {manifest.sha256} and "
            f"{manifest.revision}, as is told now; next: nothing was written over; find out which of them is true, and move "
            "the other one away"
        )
    if not path.exists():
        return False
    if digest(path) == manifest.sha256:
        return known is not None
    if known is None:
        raise ValueError(
            f"found {path} without a manifest and with another content, wanted SHA-256 {manifest.sha256}; "
            "next: nothing was written over; move it away, then run again"
        )
    # What is no longer as it was kept is no good copy; it stays, under another name.
    path.replace(path.with_name(f"{path.name}.damaged-{int(time.time())}"))
    return False


def _private(path: Path) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


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
