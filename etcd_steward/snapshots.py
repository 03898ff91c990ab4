"""Snapshots: what a manifest says, which are kept, whether the newest is fresh, and whether a restored one is true."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from etcd_steward.answers import decoded

__all__ = [
    "NEVER_PRUNED",
    "Freshness",
    "Manifest",
    "Restored",
    "age",
    "beyond",
    "choose",
    "differences",
    "freshness",
    "newest",
    "prunable",
    "read_all",
]

# The newest three by revision are kept whatever a clock says; templates/snapshot.sh holds to the same number.
NEVER_PRUNED = 3

# How far a revision may be ahead of what all others tell: of members that answer now, and of snapshots that were taken at
# different times. A member that lies must not hide the others' snapshots behind a revision that nobody reaches.
AHEAD_OF_MEMBERS, AHEAD_OF_SNAPSHOTS = 10**8, 10**9

_DAY, _HOUR, _MINUTE = 86400, 3600, 60
# The timer fires every hour, so a fresh snapshot may be late by one failed try and the next.
_LATE = 2 * _HOUR


@dataclass(frozen=True)
class Manifest:
    """What was true of a snapshot when it was taken; the line lies beside it as `NAME.json`.

    Args:
        file: its file name, without a folder.
        sha256: digest of the file.
        size: bytes of the file.
        revision: the store's revision that it holds.
        keys: live keys at that revision, or None where nobody could count them.
        hash: etcd's hash of the keys at that revision, or None where a compaction kept it from being asked.
        compact_revision: the compaction that the hash starts from; hashes with another one cannot be compared.
        cluster: the cluster's name.
        cluster_id: its id, 16 hexadecimal digits.
        member: name of the member that gave it.
        version: the release that this member ran.
        time: when, by the host's clock, in UTC.
        seconds: the same in seconds since 1970.
        origin: `scheduled`, or the verb that took it.
        line: the manifest itself.
    """

    file: str
    sha256: str
    size: int
    revision: int
    keys: int | None
    hash: int | None
    compact_revision: int | None
    cluster: str
    cluster_id: str
    member: str
    version: str
    time: str
    seconds: int
    origin: str
    line: str

    @classmethod
    def read(cls, line: str) -> Manifest | None:
        """Read a manifest.

        Args:
            line: its JSON.

        Returns:
            The manifest, or None where it is not one of ours.
        """
        try:
            value = decoded(line)
            file = str(value["file"])
            if value["written by"] != "etcd-steward" or PurePosixPath(file).name != file or file[:1] == ".":
                return None
            return cls(
                file=file,
                sha256=str(value["sha256"]),
                size=int(value["size"]),
                revision=int(value["revision"]),
                keys=None if value["keys"] is None else int(value["keys"]),
                hash=None if value["hash"] is None else int(value["hash"]),
                compact_revision=None
                if value["compact_revision"] is None
                else int(value["compact_revision"]),
                cluster=str(value["cluster"]),
                cluster_id=str(value["cluster_id"]),
                member=str(value["member"]),
                version=str(value["version"]),
                time=str(value["time"]),
                seconds=int(value["seconds"]),
                origin=str(value["origin"]),
                line=line.strip(),
            )
        except (ValueError, KeyError, TypeError, ArithmeticError):
            return None

    def misnamed(self, cluster: str | None = None, member: str | None = None) -> str:
        """Say what is wrong with the names in it: a member tells of its own snapshots, by names of their own.

        Args:
            cluster: whose snapshot it should be; None for the one that it names.
            member: who gave it; None for the one that it names.

        Returns:
            The sentence, without the host; empty where nothing is wrong.
        """
        cluster, member = cluster or self.cluster, member or self.member
        name = rf"{re.escape(cluster)}-{re.escape(member)}-([A-Za-z0-9]+-)?r{self.revision}(-[0-9]+)?\.db"
        if (self.cluster, self.member) == (cluster, member) and re.fullmatch(name, self.file):
            return ""
        return (
            f"found a manifest of {self.file} (cluster {self.cluster}, member {self.member}, revision {self.revision}), "
            f"wanted a name of {cluster}-{member} with that revision; next: look at who changes files on that host"
        )


def beyond(one: Manifest, told: Iterable[int], ahead: int) -> str:
    """Say that a snapshot's revision is far beyond what others tell, so that it is not believed.

    Args:
        one: the snapshot.
        told: revisions that others have told; none where nobody else could be asked.
        ahead: how far it may be ahead of them.

    Returns:
        The sentence, without the host; empty where it may be true.
    """
    most = max(told, default=one.revision)
    if one.revision - most <= ahead:
        return ""
    return (
        f"found revision {one.revision} in {one.file}, wanted about {most}, the most that any other tells; "
        f"next: do not believe {one.member} before you have looked at it"
    )


def newest(manifests: Iterable[Manifest]) -> Manifest | None:
    """Choose the snapshot that holds the most: the highest revision, and of equal ones the latest.

    Args:
        manifests: snapshots of one cluster id.

    Returns:
        The newest, or None where there is none.
    """
    return max(manifests, key=lambda one: (one.revision, one.seconds, one.file), default=None)


def choose(manifests: Iterable[Manifest], wanted: str, cluster_id: str | None) -> Manifest | None:
    """Choose the snapshot that an operator means.

    Args:
        manifests: all that are known.
        wanted: `newest`, or a file's name, with or without its folder.
        cluster_id: the cluster's id where it is known: the newest is one of its own.

    Returns:
        The manifest, or None where there is none.
    """
    known = list(manifests)
    if wanted == "newest":
        own = [one for one in known if cluster_id is None or one.cluster_id == cluster_id]
        if cluster_id is None and own:
            # Revisions of different clusters say nothing about each other.
            latest = max(own, key=lambda one: one.seconds).cluster_id
            own = [one for one in own if one.cluster_id == latest]
        return newest(own)
    name = PurePosixPath(wanted).name
    return next((one for one in known if one.file == name), None)


def prunable(manifests: Iterable[Manifest], now: int, keep: int, days: int) -> list[Manifest]:
    """Say which snapshots have had their time, by count and by age, for each cluster id by itself.

    The newest three by revision always stay, so that a jump of the clock cannot prune all.

    Args:
        manifests: the snapshots in one folder; what no manifest names is not asked about.
        now: seconds since 1970.
        keep: how many are kept at most.
        days: the age at which the others go; those of the future are never too old.

    Returns:
        Those that may be removed.
    """
    groups: dict[str, list[Manifest]] = {}
    for one in sorted(
        manifests, key=lambda one: (one.revision, one.seconds, one.file.removesuffix(".db")), reverse=True
    ):
        groups.setdefault(one.cluster_id, []).append(one)
    return [
        one
        for group in groups.values()
        for number, one in enumerate(group, 1)
        if number > NEVER_PRUNED and (number > keep or now - one.seconds > days * _DAY)
    ]


def age(seconds: int) -> str:
    """Tell an age in words.

    Args:
        seconds: the age; negative where the snapshot claims to come from the future.

    Returns:
        Such as `3 h`; `clock` for a negative one, as nothing fresh follows from it.
    """
    if seconds < 0:
        return "clock"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h" if seconds < 2 * _DAY else f"{seconds // _DAY} d"


@dataclass(frozen=True)
class Freshness:
    """How a newest snapshot is judged.

    Args:
        word: `fresh`, `waiting` for the first one to be due, `old`, `none`, or `clock` for one from the future.
        age: its age in words, empty where there is none.
    """

    word: Literal["fresh", "waiting", "old", "none", "clock"]
    age: str = ""

    @property
    def good(self) -> bool:
        """Whether there is nothing to complain of."""
        return self.word in {"fresh", "waiting"}


def freshness(latest: int | None, now: int, hours: int, since: int | None = None) -> Freshness:
    """Judge whether snapshots are taken as they should be (a backup that died silently is found here).

    Args:
        latest: when the newest verified one was taken, seconds since 1970; None where there is none.
        now: the time, by the clock that stamped it.
        hours: how often one is taken.
        since: when the schedule was set up, by the same clock; before the first is due none is missed.

    Returns:
        The judgement.
    """
    if latest is None:
        waiting = since is not None and 0 <= now - since <= _LATE
        return Freshness("waiting" if waiting else "none")
    old = now - latest
    if old < 0:
        return Freshness("clock", age(old))
    return Freshness("fresh" if old <= hours * _HOUR + _LATE else "old", age(old))


@dataclass(frozen=True)
class Restored:
    """What a throw-away etcd said that was started from a snapshot.

    Args:
        version: the release that it ran.
        revision: the store's revision.
        keys: live keys, or None where etcd's authentication kept them from being counted.
        hash: etcd's hash of the keys, or None where it could not be asked.
        compact_revision: the compaction that the hash starts from.
    """

    version: str
    revision: int
    keys: int | None
    hash: int | None
    compact_revision: int | None


def differences(manifest: Manifest, restored: Restored) -> tuple[list[str], list[str]]:
    """Compare what a snapshot brought back with what its manifest says.

    Args:
        manifest: what was true when it was taken.
        restored: what came back.

    Returns:
        What differs, and what could not be compared.
    """
    wrong: list[str] = []
    untold: list[str] = []
    if restored.revision != manifest.revision:
        wrong.append(f"found revision {restored.revision}, wanted {manifest.revision}")
    if restored.keys is None:
        untold.append("keys were not counted, as etcd's authentication is on")
    elif manifest.keys is None:
        untold.append("keys were not compared, as the manifest tells no number of them")
    elif restored.keys != manifest.keys:
        wrong.append(f"found {restored.keys} keys, wanted {manifest.keys}")
    if manifest.hash is None or restored.hash is None:
        untold.append("there is no hash to compare")
    elif manifest.compact_revision != restored.compact_revision:
        untold.append("hashes were not compared, as a compaction ran while the snapshot was taken")
    elif manifest.hash != restored.hash:
        told = f"found hash {restored.hash:08x}, wanted {manifest.hash:08x}"
        if restored.version == manifest.version:
            wrong.append(told)
        else:
            # No release promises to hash as another one does.
            untold.append(
                f"{told}, which proves nothing: the snapshot is of etcd {manifest.version}, this is {restored.version}"
            )
    return wrong, untold


def read_all(lines: Sequence[str]) -> tuple[Manifest, ...]:
    """Read some manifests, passing over what is none.

    Args:
        lines: JSON, one manifest a line.

    Returns:
        The manifests.
    """
    return tuple(found for line in lines if (found := Manifest.read(line)))
