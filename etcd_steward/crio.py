"""CRI-O as the verified bundle of static programs that its project publishes, where it does not come as packages."""

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

__all__ = ["PREFIX", "PROGRAM", "obtain", "program"]

UPSTREAM = "https://storage.googleapis.com/cri-o/artifacts"
PREFIX = "/opt/cri-o"  # only notes of what was installed lie there; the probe reads them
PROGRAM = "cri-o"


def program(release: str, arch: str, mirror: str | None = None) -> Program:
    """Describe a bundle of CRI-O as it is published (the script `get` of github.com/cri-o/packaging).

    Args:
        release: such as v1.37.2.
        arch: the architecture as etcd's releases name it.
        mirror: the address of the folder of the bundles, or None for upstream's.

    Returns:
        The archive.
    """
    at = f"{(mirror or UPSTREAM).rstrip('/')}/cri-o.{arch}.{release}.tar.gz"
    settings = ("etcd_crio_version", "etcd_crio_mirror", "etcd_crio_sha256")
    return Program(
        name=PROGRAM, version=release, arch=arch, url=at, sums=f"{at}.sha256sum", settings=settings
    )


def obtain(settings: Settings, machine: str, progress: Callable[[str], None]) -> Callable[[], Archive]:
    """Return what fetches the wanted bundle for a host.

    Args:
        settings: the host's settings.
        machine: what `uname -m` said there.
        progress: called with a sentence while something takes time.
    """
    release, arch = str(settings.etcd_crio_version), versions.release_arch(machine)
    wanted = program(release, arch, settings.etcd_crio_mirror)
    cache = Path(settings.etcd_cache_dir).expanduser()
    return partial(
        binaries.obtain,
        wanted,
        settings.etcd_crio_sha256,
        cache,
        progress,
        known_only=settings.etcd_require_digest,
    )
