"""The digests of etcd's release archives that this package carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

__all__ = ["MAIN_ARCHES", "carried", "carries", "given", "releases"]

# The architectures that most hosts have: a release counts as carried where the table has both.
MAIN_ARCHES = ("amd64", "arm64")


@cache
def carried() -> dict[str, dict[str, str]]:
    """Read the table.

    Returns:
        For each release, such as "3.6.14", the SHA-256 of its archive by architecture.
    """
    text = resources.files("etcd_steward.data").joinpath("etcd-sha256.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)["sha256"]
    return table


def carries(release: str, *arches: str) -> bool:
    """Tell whether the digests of a release are known here.

    Args:
        release: the release, such as "3.6.14".
        arches: the architectures that are needed, as release archives name them; the main ones if none is named.

    Returns:
        True if the table has a digest for each of them.
    """
    return carried().get(release, {}).keys() >= set(arches or MAIN_ARCHES)


def releases(value: Mapping[str, Mapping[str, str] | str] | str | None) -> list[str]:
    """List the releases that `etcd_sha256` names.

    Args:
        value: the setting.

    Returns:
        The releases; empty where it is meant for `etcd_version` alone.
    """
    by_release = isinstance(value, Mapping) and not set(MAIN_ARCHES).issuperset(value)
    return list(value) if by_release and isinstance(value, Mapping) else []


def given(
    value: Mapping[str, Mapping[str, str] | str] | str | None, release: str, arch: str, target: str
) -> str | None:
    """Find the digest that the operator gives for a release's archive.

    Args:
        value: `etcd_sha256`: a digest, or one by architecture, both of the release that is to be installed; or
            such values by release, for one that comes on the way to it.
        release: the release whose archive is wanted, such as "3.6.14".
        arch: the architecture as release archives name it.
        target: `etcd_version`, the release that a value without releases is meant for.

    Returns:
        The digest, or None if none is given.
    """
    one: Mapping[str, Mapping[str, str] | str] | str | None = value if release == target else None
    if isinstance(value, Mapping) and releases(value):
        one = value.get(release)
    found = one.get(arch) if isinstance(one, Mapping) else one
    return found if isinstance(found, str) else None
