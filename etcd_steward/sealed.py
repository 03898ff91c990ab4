"""Snapshots without a manifest, such as copies elsewhere and those of plain etcdctl: proved by the hash that etcd appends."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import IO

from etcd_steward import bolt
from etcd_steward.snapshots import Manifest

__all__ = ["is_whole", "self_proved"]

_SEAL = 32
# bbolt's pages are multiples of it, as etcd itself counts on.
_SECTOR = 512
_CHUNK = 1 << 20


def is_whole(file: IO[bytes], size: int) -> bool:
    """Tell whether a file is a database with its SHA-256 behind it, as `etcdctl snapshot save` writes it.

    Args:
        file: the file, from its beginning.
        size: its bytes.

    Returns:
        Whether it is; a copied database has no hash.
    """
    if size % _SECTOR != _SEAL:
        return False
    left, digest = size - _SEAL, hashlib.sha256()
    while left:
        chunk = file.read(min(_CHUNK, left))
        if not chunk:
            return False
        digest.update(chunk)
        left -= len(chunk)
    return file.read(_SEAL + 1) == digest.digest()


def self_proved(path: Path, sha256: str) -> Manifest | None:
    """Make a manifest for a snapshot that has none: what the file itself proves, and nothing of its keys.

    Args:
        path: the snapshot.
        sha256: digest of the file.

    Returns:
        The manifest, which counts no keys and tells no hash of them; None where the file does not prove itself.
    """
    with path.open("rb") as file:
        if not is_whole(file, path.stat().st_size):
            return None
        try:
            revision, version = _revision(file), _version(file)
        except bolt.BoltError:
            return None
    seconds = int(path.stat().st_mtime)
    told = {
        "written by": "etcd-steward",
        "file": path.name,
        "sha256": sha256,
        "size": path.stat().st_size,
        "revision": revision,
        "keys": None,
        "hash": None,
        "compact_revision": None,
        "cluster": "",
        "cluster_id": "",
        "member": "an unknown member",
        "version": version,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
        "seconds": seconds,
        "origin": "elsewhere",
    }
    return Manifest.read(json.dumps(told))


def _revision(file: IO[bytes]) -> int:
    """Read the revision: the newest one that is kept, or where a compaction took that away, the compaction's own."""
    meta = bolt.bucket(file, b"meta")
    keys = [bolt.last_key(file, b"key"), meta.get(b"scheduledCompactRev"), meta.get(b"finishedCompactRev")]
    return max((int.from_bytes(key[:8], "big") for key in keys if key), default=1)


def _version(file: IO[bytes]) -> str:
    """Read the release: 3.6 and later write their own, older ones the cluster's."""
    stored = bolt.bucket(file, b"meta").get(b"storageVersion") or bolt.bucket(file, b"cluster").get(
        b"clusterVersion"
    )
    return (stored or b"unknown").decode(errors="replace")
