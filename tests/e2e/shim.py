"""Releases whose etcdctl and etcdutl warn in front of every answer, as those of 3.6 do of a variable that they do not know."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

from tests.targets import mirror
from tests.targets.common import arriving

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("etcdctl", "etcdutl")
# What would be believed if it were taken for an answer: other numbers, a refusal, an alarm, and words of other tools.
_WARNINGS = (
    '{"level":"warn","caller":"flags/flag.go:94","msg":"unrecognized environment variable","environment-variable":"X=3"}',
    '[{"Endpoint":"https://127.0.0.1:2379","Status":{"header":{"cluster_id":1,"member_id":2,"revision":3},"leader":4}}]',
    '{"header":{"cluster_id":1,"member_id":2},"members":[],"count":99}',
    "memberID:1 alarm:CORRUPT",
    "Warning: this build is not for production; SUCCESS, NOT HEALTHY",
)
_WRAPPER = """#!/bin/sh
printf '%s\\n' {warnings} >&2
exec "$(dirname "$(readlink -f "$0")")/{tool}.real" "$@"
"""


def prepare(root: Path, *versions: str) -> Path:
    """Make a mirror's folder of such releases, with checksums of their own.

    Args:
        root: an empty folder.
        versions: without "v", as `mirror.prepare` has them.

    Returns:
        The folder.
    """
    for version in versions:
        source = mirror.prepare(version) / f"v{version}"
        folder = root / f"v{version}"
        folder.mkdir(parents=True)
        name = mirror.archive_name(version, "amd64")
        with arriving(folder / name) as partial:
            partial.write_bytes(_repacked((source / name).read_bytes()))
        (folder / "SHA256SUMS").write_text(f"{mirror.sha256(folder / name)}  {name}\n")
    return root


def _repacked(archive: bytes) -> bytes:
    warnings = " ".join(f"'{warning}'" for warning in _WARNINGS)
    raw = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as new,
    ):
        for entry in old.getmembers():
            content = old.extractfile(entry)
            tool = entry.name.rpartition("/")[2]
            if content is not None and tool in TOOLS:
                wrapper = _WRAPPER.format(warnings=warnings, tool=tool).encode()
                told = tarfile.TarInfo(entry.name)
                told.mode, told.size = 0o755, len(wrapper)
                new.addfile(told, io.BytesIO(wrapper))
                entry.name += ".real"
            new.addfile(entry, content)
    return gzip.compress(raw.getvalue(), compresslevel=1)
