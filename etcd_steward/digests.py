"""The digests of etcd's release archives that this package carries."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

__all__ = ["MAIN_ARCHES", "carried", "carries"]

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
