"""Which release of etcd a host runs, which one it would start, and which ones lie there."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TypedDict

from etcd_steward.facts.slices import Slice
from etcd_steward.observed import HostState

__all__ = ["Versions", "VersionsDict", "describe"]


class VersionsDict(TypedDict):
    """What `Versions` tells."""

    running: str | None
    linked: str | None
    installed: list[str]


class Versions(Slice[VersionsDict]):
    """
    Returns the release that runs, the one that the next start takes, and all that lie on the host.

    .. code:: json

        {"running": "3.5.33", "linked": "3.5.33", "installed": ["3.5.30", "3.5.33"]}
    """

    def describe(self, state: HostState) -> VersionsDict:
        """Take it out of what the probe told."""
        return describe(state)


def describe(state: HostState) -> VersionsDict:
    """Describe the releases of a probed host.

    Args:
        state: what the probe told.

    Returns:
        Its releases; `linked` is None where the link leads to none of them.
    """
    linked = PurePosixPath(state.links.get("etcd", "")).parent.name
    return {
        "running": (state.endpoint.status or {}).get("version"),
        "linked": linked if linked in state.releases else None,
        "installed": sorted(state.releases, key=_order),
    }


def _order(version: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 0, part) for part in version.split(".")]
