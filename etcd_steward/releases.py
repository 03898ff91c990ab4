"""Release archives of etcd on the controller: found or downloaded, and used only with the right digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from etcd_steward.digests import carried
from etcd_steward.downloads import (
    DIGEST,
    ONE_AT_A_TIME,
    Archive,
    Cures,
    ReleaseError,
    fetch,
    fetch_sums,
    listed,
    sha256,
)
from etcd_steward.versions import NEWEST, newest_carried

if TYPE_CHECKING:
    from collections.abc import Callable

    from etcd_steward.versions import Version

__all__ = [
    "UPSTREAM",
    "Archive",
    "ReleaseError",
    "archive_name",
    "archive_url",
    "obtain",
    "pinned_digest",
    "undigested",
]

UPSTREAM = "https://github.com/etcd-io/etcd/releases/download"
SUMS = "SHA256SUMS"

CURES = Cures(
    missing="correct etcd_version or etcd_mirror, or set etcd_archive_dir to a folder that has the archive",
    wrong="do not use it; where a mirror builds etcd itself, set etcd_digests = 'mirror' or etcd_sha256",
)


def archive_name(version: Version, arch: str) -> str:
    """Name the archive of a release.

    Args:
        version: the release.
        arch: the architecture as release archives name it, such as "amd64".

    Returns:
        Such as "etcd-v3.5.33-linux-amd64.tar.gz".
    """
    return f"etcd-v{version}-linux-{arch}.tar.gz"


def archive_url(mirror: str | None, version: Version, arch: str) -> str:
    """Say where a mirror in GitHub's layout has an archive.

    Args:
        mirror: the address up to the folder of the version, or None for upstream's.
        version: the release.
        arch: the architecture as release archives name it.

    Returns:
        The archive's address.
    """
    return f"{(mirror or UPSTREAM).rstrip('/')}/v{version}/{archive_name(version, arch)}"


def pinned_digest(version: Version, arch: str) -> str | None:
    """Look up the digest of upstream's archive in the table that this package carries.

    Args:
        version: the release.
        arch: the architecture as release archives name it.

    Returns:
        The SHA-256 as 64 hexadecimal digits, or None if the table does not have it.
    """
    return carried().get(str(version), {}).get(arch)


def obtain(
    version: Version,
    arch: str,
    *,
    mirror: str | None,
    folder: str | None,
    digest: Mapping[str, str] | str | None,
    cache: Path,
    digests: Literal["pinned", "mirror"] = "pinned",
    known_only: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Archive:
    """Get a verified archive: from a folder, from the cache, or from a mirror.

    The digest is the setting's; else the one in this package's table; else the one in the source's SHA256SUMS.
    With digests="mirror" the source's goes before the table's, for those that build etcd themselves.

    Args:
        version: the release.
        arch: the architecture as release archives name it.
        mirror: where archives come from, in GitHub's layout; None for upstream.
        folder: a folder on the controller that has the archives, used instead of a mirror.
        digest: the SHA-256 that the operator expects, one or by architecture.
        cache: folder on the controller for verified archives, made if needed.
        digests: whose digest is believed where the operator gives none.
        known_only: believe no list beside the archive.
        progress: called with a sentence at least every few seconds while something takes time.

    Returns:
        The archive.

    Raises:
        ReleaseError: there is no archive, no digest, or they do not fit together.
    """
    source = archive_url(mirror, version, arch)
    if folder is None and not source.startswith(("https://", "http://")):
        raise ReleaseError(
            f"etcd_mirror {mirror}", "an http or https address", "set etcd_archive_dir for a folder"
        )
    with ONE_AT_A_TIME:
        if folder is not None:
            return _from_folder(
                version, arch, Path(folder).expanduser(), digest, digests, known_only=known_only
            )
        sums = source.rpartition("/")[0] + f"/{SUMS}"
        wanted = _expected(
            version, arch, digest, digests, None if known_only else lambda: fetch_sums(sums, CURES)
        )
        place = cache.expanduser() / wanted[:16] / archive_name(version, arch)
        return fetch(source, place, wanted, CURES, progress)


def undigested(version: Version, arch: str) -> tuple[str, str, str]:
    """Say what is wrong with a release whose digest is neither carried nor given, where one is required.

    Args:
        version: the release.
        arch: the architecture as release archives name it.

    Returns:
        What is found, what is wanted, and what helps.
    """
    known = newest_carried(version.minor_line, [arch])
    better = f", or choose {known}, whose digest is carried" if known is not None else ""
    return (
        f"no SHA-256 of {archive_name(version, arch)} in this package or in etcd_sha256",
        "one, as etcd_require_digest is set",
        f"set etcd_sha256 = {{'{version}': {{'{arch}': '…'}}}}{better}",
    )


def _from_folder(
    version: Version,
    arch: str,
    folder: Path,
    digest: Mapping[str, str] | str | None,
    digests: Literal["pinned", "mirror"],
    *,
    known_only: bool,
) -> Archive:
    name = archive_name(version, arch)
    places = [folder / name, folder / f"v{version}" / name]
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        raise ReleaseError(
            f"no {name} in {folder}", "the release archive", "copy it there, or unset etcd_archive_dir"
        )

    def sums() -> str:
        beside = place.with_name(SUMS)
        return beside.read_text(encoding="utf-8") if beside.is_file() else ""

    wanted = _expected(version, arch, digest, digests, None if known_only else sums)
    found = sha256(place)
    if found != wanted:
        raise CURES.wrong_digest(found, wanted, str(place))
    return Archive(place, wanted)


def _expected(
    version: Version,
    arch: str,
    digest: Mapping[str, str] | str | None,
    digests: Literal["pinned", "mirror"],
    sums: Callable[[], str] | None,
) -> str:
    given = digest.get(arch) if isinstance(digest, Mapping) else digest
    if given is not None:
        if not DIGEST.fullmatch(given.strip().lower()):
            raise ReleaseError(
                f"etcd_sha256 {given!r}", "64 hexadecimal digits", "copy it from the release's SHA256SUMS"
            )
        return given.strip().lower()
    name = archive_name(version, arch)
    if sums is None:
        pinned = pinned_digest(version, arch)
        if pinned is None:
            raise ReleaseError(*undigested(version, arch))
        return pinned
    sources: list[Callable[[], str | None]] = [
        lambda: pinned_digest(version, arch),
        lambda: listed(sums(), name),
    ]
    for source in sources if digests == "pinned" else reversed(sources):
        known = source()
        if known is not None:
            return known
    raise ReleaseError(
        f"no SHA-256 of {name} in this package or in the source's {SUMS}",
        "a digest, as nothing is installed without one",
        f"{_existing(version)}set etcd_sha256 = {{'{version}': {{'{arch}': '…'}}}}",
    )


def _existing(version: Version) -> str:
    newest = NEWEST.get(version.minor_line)
    if newest is None or version <= newest:
        return ""
    return f"set etcd_version to a release that exists, such as {newest}; where {version} is newer than this package, "
