"""What members have to answer before one of them is restarted with another release; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from etcd_steward import answers
from etcd_steward.answers import decoded
from etcd_steward.observed import ListedMember
from etcd_steward.versions import Version, parse

__all__ = [
    "FIRST_STORED",
    "V2_KEY",
    "V2_SKIP",
    "Unsure",
    "differing_hashes",
    "downgrade_due",
    "downgrading",
    "not_migrated",
    "read_status",
    "strangers",
    "stray_downgrade",
    "v2_content",
    "v2_cure",
]

# The first release whose members have a storage version, and can be led down by etcd's own protocol.
FIRST_STORED = Version(3, 6, 0)

_CLEAN = "v2store No custom content found"
# With this value in etcd_config a 3.6 starts over what the v2 interface has left (etcd#21850, from 3.6.13 on).
V2_KEY, V2_SKIP = "v2-deprecation", "write-only-skip-check"


class Unsure(ValueError):  # noqa: N818 - it is no error: the question may be put again
    """The members gave no comparable answer, which passes by itself while they compact or one starts."""


def differing_hashes(answer: str, members: int) -> str:
    """Judge the hashes of all members at one revision (etcd's guide to data corruption).

    Hashes begin at the last compaction, so those of members that are not equally far with it say nothing.

    Args:
        answer: the JSON of `etcdctl endpoint hashkv`.
        members: how many must have answered.

    Returns:
        What differs; empty where all are equal.

    Raises:
        Unsure: it is no such answer, or not yet a comparable one.
    """
    try:
        told = {str(entry["Endpoint"]): entry["HashKV"] for entry in decoded(answer)}
        hashes = {endpoint: int(one["hash"]) for endpoint, one in told.items()}
        compacted = {int(one.get("compact_revision", -1)) for one in told.values()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unsure(f"found an answer that holds no hashes: {answer[:200]}") from error
    if len(told) != members:
        raise Unsure(f"found hashes of {len(told)} members, wanted those of {members}")
    if len(compacted) > 1:
        raise Unsure(f"found hashes since different compactions ({sorted(compacted)}), wanted one")
    if len(set(hashes.values())) == 1:
        return ""
    return ", ".join(f"{endpoint}: {number:08x}" for endpoint, number in sorted(hashes.items()))


def v2_content(lines: list[str]) -> str:
    """Judge what `etcdutl check v2store` said (etcd's guide to 3.6); its exit status alone proves nothing.

    Args:
        lines: the lines of `v2store.sh`.

    Returns:
        What is in the way of 3.6; empty where nothing is.
    """
    if any(line.startswith(_CLEAN) for line in lines):
        return ""
    return " ".join(line.removeprefix("v2store ") for line in lines[-2:])[:300] or "no answer"


def v2_cure(said: Iterable[str]) -> str:
    """Say what upstream offers against what the v2 interface has left, in settings of ours (etcd's guide to 3.6, V2 Store).

    Args:
        said: what `v2_content` returned for each member that has something.
    """
    texts = list(said)
    if not all("custom" in text for text in texts):
        return "see what etcdutl says, and run again"
    if all("WAL" in text and "both" not in text for text in texts):
        return (
            "set etcd_config = {'snapshot-count': 1}, run deploys/etcd.py, write a few keys, take it out, run deploys/etcd.py "
            "and then this again: what lies in the log alone goes with the next raft snapshot"
        )
    return (
        "delete these keys by etcd's v2 interface and run again, or keep them unread at your own risk with "
        f"etcd_config = {{'{V2_KEY}': '{V2_SKIP}'}} and etcd_version 3.6.13 or later"
    )


@dataclass(frozen=True)
class _Stored:
    id: int
    peer_urls: tuple[str, ...]
    learner: bool


def strangers(stored: Iterable[bytes], listed: Iterable[ListedMember]) -> list[str]:
    """Compare the members that the database holds with those that the cluster lists.

    3.5 lists what its v2 store holds, 3.6 what its database holds: a member that was removed would come back
    (etcd#20967), and one that was promoted would be a learner again (etcd#19557).

    Args:
        stored: the values of the bucket `members`, as JSON.
        listed: the cluster's own list.

    Returns:
        A sentence for each difference.

    Raises:
        Unsure: a value is no member.
    """
    there = {one.id: one for one in map(_stored, stored)}
    here = {one.id: _Stored(one.id, one.peer_urls, one.learner) for one in listed}
    told = [f"{number:016x} only in the database" for number in sorted(there.keys() - here.keys())]
    told += [f"{number:016x} only in the list" for number in sorted(here.keys() - there.keys())]
    for number in sorted(there.keys() & here.keys()):
        one, other = there[number], here[number]
        if one.learner != other.learner:
            told.append(f"{number:016x} a learner only in the {'database' if one.learner else 'list'}")
        if sorted(one.peer_urls) != sorted(other.peer_urls):
            told.append(f"{number:016x} at {', '.join(one.peer_urls)} in the database")
    return told


def _stored(text: bytes) -> _Stored:
    try:
        value = decoded(text.decode())
        return _Stored(int(value["id"]), tuple(value.get("peerURLs") or ()), bool(value.get("isLearner")))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Unsure(f"found a member that cannot be read: {text[:80]!r}") from error


def read_status(name: str, lines: list[str]) -> Mapping[str, Any]:
    """Read what a member told of itself when it was asked from its own host.

    Args:
        name: the member.
        lines: the lines of `status.sh`.

    Returns:
        The decoded status.

    Raises:
        Unsure: there is none, or it cannot be read.
    """
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "untold":
            raise Unsure(f"found no answer from {name} ({rest[:200]})")
        if word == "status":
            try:
                status = answers.read_status(rest)
                parse(status["version"])
            except ValueError as error:
                raise Unsure(f"found no readable answer from {name} ({rest[:200]})") from error
            return status
    raise Unsure(f"found no answer from {name} ({' '.join(lines[-2:])[:200] or 'not a word'})")


def downgrading(statuses: Iterable[Mapping[str, Any]]) -> str:
    """Say which line a downgrade that is under way leads to (etcd 3.6, `endpoint status`).

    Args:
        statuses: what members told of themselves, each by an etcdctl that knows the fields of its release.

    Returns:
        Such as "3.5"; empty where none is under way, as far as the members tell: those on 3.5 cannot.
    """
    for status in statuses:
        info = status.get("downgradeInfo") or {}
        if info.get("enabled"):
            return ".".join(str(info.get("targetVersion", "")).split(".")[:2])
    return ""


def stray_downgrade(statuses: Iterable[Mapping[str, Any]]) -> str:
    """Say where a downgrade leads that nobody is on: every member runs a newer line.

    Args:
        statuses: what all members told of themselves, each by an etcdctl that knows the fields of its release.

    Returns:
        Such as "3.5"; empty where none is enabled, or where a member runs that line, or an older one.
    """
    told = list(statuses)
    line = downgrading(told)
    try:
        beyond = line and all(parse(str(one["version"])).minor > parse(f"{line}.0").minor for one in told)
    except ValueError:  # a release candidate, or a build of somebody's own
        return ""
    return line if beyond else ""


def not_migrated(statuses: Iterable[Mapping[str, Any]], target: Version) -> list[str]:
    """Name the members whose database is still of a newer line than the release that they are brought to.

    etcd's downgrade guide wants the storage version of all members to be that of the target before one stops.

    Args:
        statuses: what all members told of themselves, each by an etcdctl that knows the fields of its release.
        target: the release.

    Returns:
        Members with their release and storage version; empty where all are ready.
    """
    late = []
    for status in statuses:
        release = parse(str(status.get("version")))
        storage = str(status.get("storageVersion") or "unknown")
        if release.minor > target.minor and not storage.startswith(f"{target.minor_line}."):
            number = int(status["header"]["member_id"])
            late.append(f"{number:016x} on {release} with a database of {storage}")
    return late


def downgrade_due(current: Iterable[Version], target: Version) -> bool:
    """Tell whether any member has a storage version to migrate: 3.6 was the first to have one.

    Args:
        current: the releases that members run.
        target: the release that they are brought to.
    """
    return any(one.minor > target.minor and one >= FIRST_STORED for one in current)
