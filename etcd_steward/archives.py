"""Fetches the verified release archives of a cluster, each once in a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_steward import digests, releases
from etcd_steward.errors import Complaint

if TYPE_CHECKING:
    from collections.abc import Callable

    from etcd_steward.run import ClusterRun
    from etcd_steward.settings import Settings
    from etcd_steward.versions import Version

__all__ = ["archive", "without_digest"]


def archive(
    run: ClusterRun, settings: Settings, version: Version, arch: str, progress: Callable[[str], None]
) -> releases.Archive:
    """Fetch a release as the cluster's settings say, once in a run.

    Args:
        run: the run of the cluster.
        settings: the cluster's settings.
        version: the release.
        arch: its architecture, as releases name it.
        progress: told from time to time how far it is.

    Returns:
        The verified archive on the controller.

    Raises:
        ReleaseError: it cannot be had, or is not what its digest says.
    """
    obtain = partial(
        releases.obtain,
        version,
        arch,
        mirror=settings.etcd_mirror,
        folder=settings.etcd_archive_dir,
        digest=digests.given(settings.etcd_sha256, str(version), arch, settings.etcd_version),
        digests=settings.etcd_digests,
        known_only=settings.etcd_require_digest,
        cache=Path(settings.etcd_cache_dir).expanduser(),
        progress=progress,
    )
    found: releases.Archive = run.once(f"archive {version} {arch}", obtain)
    return found


def without_digest(host: str, settings: Settings, version: Version, arch: str) -> list[Complaint]:
    """Complain of a release that would be installed without a digest known beforehand, where one is required.

    Args:
        host: the inventory's name of the host, or of the cluster.
        settings: the settings of the cluster.
        version: the release that would be fetched.
        arch: the architecture as release archives name it.
    """
    if not settings.etcd_require_digest or digests.carries(str(version), arch):
        return []
    if digests.given(settings.etcd_sha256, str(version), arch, settings.etcd_version) is not None:
        return []
    return [Complaint(host, *releases.undigested(version, arch))]
