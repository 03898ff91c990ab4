"""What is known about etcd's releases: which to run, which to refuse, and in which steps to upgrade."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_steward import advisories, digests

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "DEFAULT",
    "MAINTAINED",
    "NEWEST",
    "SUPPORTED_ARCHES",
    "Advice",
    "Hop",
    "Version",
    "carried",
    "has_bump",
    "has_etcdutl",
    "hops",
    "judge_target",
    "newest_carried",
    "parse",
    "release_arch",
    "unsupported_arch",
]


@dataclass(frozen=True, order=True)
class Version:
    """A release of etcd, such as 3.5.33."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def minor_line(self) -> str:
        """The line of patch releases that this one belongs to, such as "3.5"."""
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True)
class Advice:
    """One thing to know before a release is installed.

    Args:
        refuse: whether the release must not be installed unless the operator insists.
        text: what is wrong with it, and from which release on it is right.
        source: where that is written.
        always: whether the refusal holds even when the operator insists.
        cure: whether there is a release of the same line without it.
    """

    refuse: bool
    text: str
    source: str
    always: bool = False
    cure: bool = True


@dataclass(frozen=True)
class Hop:
    """One step of an upgrade, carried out on every member before the next step begins.

    Args:
        to: the release that every member runs after it.
        why: why this step is taken.
    """

    to: Version
    why: str


# The newest release known of each line that this package can configure (the Go module proxy's list of
# go.etcd.io/etcd/server/v3 on 2026-11-28; 3.4.45 is the last of its line by CHANGELOG-3.4). 3.8 is not released yet.
NEWEST = {
    "3.4": Version(3, 4, 45),
    "3.5": Version(3, 5, 34),
    "3.6": Version(3, 6, 16),
    "3.7": Version(3, 7, 3),
}

OLDEST_LINE, NEWEST_LINE = (3, 4), (3, 7)
OLDEST_MAINTAINED = (3, 5)
BEYOND_HARM = Version(3, 5, 6)  # 3.5.3 to 3.5.5 harm data too, though only by a crash while defragmenting
MAINTAINED = tuple(line for line in NEWEST if line >= "3.5")

# Lowest release of a line from which the next one may be entered -> where that is written. To 3.6: 3.5.26 because of
# zombie members (etcd#20967), 3.5.32 because its `etcdutl check v2store` reads the log too (etcd#20809).
UPGRADE_FLOOR = {"3.5": Version(3, 5, 32), "3.6": Version(3, 6, 11)}
FLOOR_SOURCE = {
    "3.5": "https://etcd.io/docs/v3.6/upgrades/upgrade_3_6/",
    "3.6": "https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/",
}
# Downgrades that etcd itself supports (`etcdctl downgrade enable`).
DOWNGRADABLE = {"3.6", "3.7"}

# `uname -m` -> the name of the architecture in release archives
SUPPORTED_ARCHES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}


def parse(value: object) -> Version:
    """Read a full version.

    Args:
        value: such as "3.5.33" or "v3.5.33".

    Returns:
        The version.

    Raises:
        ValueError: it is not text with three numbers; pyinfra's `--data` turns 3.6 into a float.
    """
    if isinstance(value, Version):
        return value
    if isinstance(value, str):
        found = re.fullmatch(r"v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)", value.strip())
        if found:
            return Version(*(int(number) for number in found.groups()))
    line = re.match(r"v?(3\.[0-9]+)", str(value))
    example = NEWEST.get(line.group(1), DEFAULT) if line else DEFAULT
    raise ValueError(f"found {value}, wanted a full version such as {example}")


def carried(arches: Collection[str] = digests.MAIN_ARCHES) -> set[Version]:
    """List the releases whose digests this package carries.

    Args:
        arches: the architectures that need a digest, as release archives name them.

    Returns:
        The releases that have them all.
    """
    return {parse(release) for release in digests.carried() if digests.carries(release, *arches)}


def newest_carried(line: str, arches: Collection[str] = digests.MAIN_ARCHES) -> Version | None:
    """Find the newest release of a line whose digests this package carries.

    Args:
        line: the line, such as "3.6".
        arches: the architectures that need a digest, as release archives name them.

    Returns:
        The release, or None where no release of the line has them all.
    """
    return max((version for version in carried(arches) if version.minor_line == line), default=None)


# 3.6 is the line that has been fixed for longest among those that still get fixes for long; its newest release whose
# archives can be checked against digests known beforehand, on both main architectures.
DEFAULT = newest_carried("3.6") or NEWEST["3.6"]


def judge_target(version: Version) -> list[Advice]:
    """Say what speaks against installing a release.

    Args:
        version: the release that is to be installed.

    Returns:
        All that is known against it, refusals first; empty for a good release.
    """
    line = (version.major, version.minor)
    if line < OLDEST_LINE:
        text = f"etcd {version.minor_line} is older than 3.4, which etcd-steward cannot configure"
        return [Advice(True, text, "etcd's versioning policy: 3.4 and older get no fixes", always=True)]
    if line > NEWEST_LINE:
        text = f"etcd {version.minor_line} is newer than 3.7, whose configuration etcd-steward knows"
        return [Advice(True, text, "the key table of etcd-steward", always=True)]
    known = advisories.against(version)
    advice = [
        Advice(True, f"{one.what}; wanted {BEYOND_HARM} or later", one.id) for one in known if one.refuse
    ]
    if line < OLDEST_MAINTAINED:
        advice.append(
            Advice(False, f"etcd {version.minor_line} gets no more fixes", "etcd's versioning policy")
        )
    advice += [
        Advice(False, one.told(version), one.id, cure=one.cure(version) is not None)
        for one in known
        if not one.refuse
    ]
    return advice


def unsupported_arch(version: Version, arch: str) -> str | None:
    """Say what ETCD_UNSUPPORTED_ARCH must be for etcd to start (etcd, `checkSupportArch`).

    Args:
        version: the release that is started.
        arch: the architecture as release archives name it.

    Returns:
        The value, or None where the variable is not needed.
    """
    supported = {"amd64", "ppc64le"}
    if version >= Version(3, 5, 0):
        supported |= {"arm64", "s390x"}
    return None if arch in supported else arch


def has_etcdutl(version: Version) -> bool:
    """Tell whether a release ships `etcdutl`, which came with 3.5 (etcd's CHANGELOG-3.5).

    Args:
        version: the release.

    Returns:
        True if its archive contains etcdutl.
    """
    return version >= Version(3, 5, 0)


def has_bump(version: Version) -> bool:
    """Tell whether a release restores with `--bump-revision` and `--mark-compacted` (CHANGELOG-3.4 and -3.5).

    Args:
        version: the release that restores.

    Returns:
        True from 3.4.27 and 3.5.10 on.
    """
    return version >= Version(3, 5, 10) or Version(3, 4, 27) <= version < Version(3, 5, 0)


def release_arch(machine: str) -> str:
    """Translate what `uname -m` says into the name that release archives use.

    Args:
        machine: the output of `uname -m`.

    Returns:
        Such as "amd64".

    Raises:
        ValueError: etcd has no release for that machine.
    """
    arch = SUPPORTED_ARCHES.get(machine.strip())
    if arch is None:
        raise ValueError(f"found {machine.strip() or 'nothing'}, wanted one of {', '.join(SUPPORTED_ARCHES)}")
    return arch


def hops(current: Version, target: Version, among: Collection[Version] | None = None) -> list[Hop]:
    """Plan an upgrade or downgrade as steps of at most one minor version (etcd's upgrade guides).

    Args:
        current: the oldest release that a member runs.
        target: the release that is wanted.
        among: the releases that may come on the way; the newest of each line if None.

    Returns:
        The steps in order; empty if there is nothing to do.

    Raises:
        ValueError: there is no such path.
    """
    if current == target:
        return []
    if current.major != target.major:
        raise ValueError(
            f"found etcd {current}, wanted {target}; next: stay within major version {current.major}"
        )
    if target.minor < current.minor:
        return _downgrade(current, target, among)
    steps: list[Hop] = []
    while current.minor < target.minor:
        floor = UPGRADE_FLOOR.get(current.minor_line)
        if floor is not None and current < floor:
            current = _on_the_way(current.minor_line, floor, among)
            steps.append(Hop(current, f"{floor.minor_line} is left only from {floor} or later"))
        line = f"{current.major}.{current.minor + 1}"
        current = target if line == target.minor_line else _on_the_way(line, UPGRADE_FLOOR.get(line), among)
        steps.append(
            Hop(current, "one minor version at a time" if current != target else "the wanted release")
        )
    if current != target:
        steps.append(Hop(target, "the wanted release"))
    return steps


def _on_the_way(line: str, floor: Version | None, among: Collection[Version] | None) -> Version:
    """Choose the release of a line that members run between two steps; a line is left only from its floor on."""
    known = NEWEST.values() if among is None else among
    found = max((version for version in known if version.minor_line == line), default=None)
    if found is None or (floor is not None and found < floor):
        least = f"{floor} or later" if floor is not None else "one"
        lack = "" if among is None else ", as etcd_require_digest is set, with a digest known beforehand"
        raise ValueError(f"found no release of etcd {line} for the way, wanted {least}{lack}")
    return found


def _downgrade(current: Version, target: Version, among: Collection[Version] | None) -> list[Hop]:
    steps: list[Hop] = []
    begun = current
    while target.minor < current.minor:
        if current.minor_line not in DOWNGRADABLE:
            raise ValueError(
                f"found etcd {begun}, wanted {target}; next: restore a snapshot, as etcd itself goes back "
                "only from 3.7 to 3.6 and from 3.6 to 3.5",
            )
        line = f"{current.major}.{current.minor - 1}"
        current = target if line == target.minor_line else _on_the_way(line, None, among)
        steps.append(Hop(current, "after `etcdctl downgrade enable`, which etcd has since 3.6"))
    return steps
