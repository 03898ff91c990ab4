"""kubelet as one verified program, where it does not come as a package."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_steward import binaries, versions
from etcd_steward.binaries import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from etcd_steward.downloads import Archive
    from etcd_steward.settings import Settings

__all__ = ["PATH", "PREFIX", "obtain", "program", "release_path"]

UPSTREAM = "https://dl.k8s.io"
PREFIX = "/opt/kubernetes"
PATH = "/usr/bin/kubelet"  # which the drop-in names


def program(release: str, arch: str, mirror: str | None = None) -> Program:
    """Describe a release of kubelet as it is published.

    Args:
        release: such as v1.37.2.
        arch: the architecture as etcd's releases name it.
        mirror: the address up to the folder of the release, or None for upstream's.

    Returns:
        The program.
    """
    at = f"{(mirror or UPSTREAM).rstrip('/')}/{release}/bin/linux/{arch}/kubelet"
    settings = ("etcd_kubelet_version", "etcd_kubelet_mirror", "etcd_kubelet_sha256")
    return Program(name="kubelet", version=release, arch=arch, url=at, sums=f"{at}.sha256", settings=settings)


def release_path(settings: Settings) -> str:
    """Say where the wanted release lies on a host; empty where kubelet comes as a package."""
    return f"{PREFIX}/{settings.etcd_kubelet_version}/kubelet" if settings.etcd_kubelet_version else ""


def obtain(settings: Settings, machine: str, progress: Callable[[str], None]) -> Callable[[], Archive]:
    """Return what fetches the wanted release for a host.

    Args:
        settings: the host's settings.
        machine: what `uname -m` said there.
        progress: called with a sentence while something takes time.
    """
    wanted = program(
        str(settings.etcd_kubelet_version), versions.release_arch(machine), settings.etcd_kubelet_mirror
    )
    cache = Path(settings.etcd_cache_dir).expanduser()
    return partial(
        binaries.obtain,
        wanted,
        settings.etcd_kubelet_sha256,
        cache,
        progress,
        known_only=settings.etcd_require_digest,
    )
