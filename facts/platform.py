"""What kind of machine a host is."""

from __future__ import annotations

from typing import TypedDict

from etcd_steward import versions
from etcd_steward.facts.slices import Slice
from etcd_steward.observed import HostState
from etcd_steward.platforms import package_manager

__all__ = ["Platform", "PlatformDict", "describe"]


class PlatformDict(TypedDict):
    """What `Platform` tells."""

    arch: str
    machine: str
    os: str
    os_name: str
    init: str
    packages: str
    supported: bool


class Platform(Slice[PlatformDict]):
    """
    Returns what kind of machine a host is, as etcd and this package see it.

    .. code:: json

        {"arch": "arm64", "machine": "aarch64", "os": "alpine", "os_name": "Alpine Linux v3.23", "init": "openrc",
         "packages": "apk", "supported": true}
    """

    def describe(self, state: HostState) -> PlatformDict:
        """Take it out of what the probe told."""
        return describe(state)


def describe(state: HostState) -> PlatformDict:
    """Describe a probed host.

    Args:
        state: what the probe told.

    Returns:
        Its platform; `supported` is False where etcd-steward refuses it.
    """
    try:
        arch = versions.release_arch(state.machine)
    except ValueError:
        arch = "unsupported"
    packages = package_manager(state.os_id, state.os_like)
    return {
        "arch": arch,
        "machine": state.machine,
        "os": state.os_id,
        "os_name": state.os_name,
        "init": state.init,
        "packages": packages.name if packages else "unknown",
        "supported": arch != "unsupported" and state.init != "none",
    }
