"""What kind of machine a host is."""

from __future__ import annotations

from typing import TypedDict

from pyinfra.api import FactBase, StringCommand

from etcd_steward import versions
from etcd_steward.facts.probe import own_questions
from etcd_steward.observed import HostState
from etcd_steward.parsing import parse_probe
from etcd_steward.platforms import package_manager

__all__ = ["Platform", "PlatformDict"]


class PlatformDict(TypedDict):
    """What `Platform` tells."""

    arch: str
    machine: str
    os: str
    os_name: str
    init: str
    packages: str
    supported: bool


class Platform(FactBase[PlatformDict | None]):
    """
    Returns what kind of machine a host is, as etcd and this package see it.

    .. code:: json

        {"arch": "arm64", "machine": "aarch64", "os": "alpine", "os_name": "Alpine Linux v3.23", "init": "openrc",
         "packages": "apk", "supported": true}
    """

    @staticmethod
    def default() -> None:
        """Tell that the host did not answer."""

    def command(self) -> StringCommand:
        """Make the command."""
        return StringCommand(own_questions())

    def process(self, output: list[str]) -> PlatformDict | None:
        """Take the platform out of the probe's answer."""
        state = parse_probe("", list(output))
        return describe(state) if state.reached else None


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
