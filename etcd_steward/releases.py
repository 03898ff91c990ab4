"""Release archives of etcd on the controller: found or downloaded, and used only with the right digest."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache as once
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etcd_steward.versions import Version

__all__ = ["UPSTREAM", "Archive", "ReleaseError", "archive_name", "archive_url", "obtain", "pinned_digest"]

UPSTREAM = "https://github.com/etcd-io/etcd/releases/download"
SUMS = "SHA256SUMS"
DIGEST = re.compile(r"[0-9a-f]{64}")

SILENCE_S = 30  # a server that sends nothing for so long is given up
REPORT_S = 5  # a download says at least so often how far it is
CHUNK = 256 * 1024
LARGEST_SUMS = 1024 * 1024

# Hosts ask at the same time, and the first one's download serves them all.
_one_at_a_time = threading.Lock()


class ReleaseError(Exception):
    """A release archive cannot be had, or must not be used.

    Args:
        found: what is there.
        wanted: what should be there.
        following: what the operator does about it.
    """

    def __init__(self, found: str, wanted: str, following: str) -> None:
        super().__init__(f"found {found}, wanted {wanted}; next: {following}")
        self.found = found
        self.wanted = wanted
        self.next = following


@dataclass(frozen=True)
class Archive:
    """A verified archive on the controller.

    Args:
        path: where it lies.
        sha256: its digest, to be checked again on the host.
    """

    path: Path
    sha256: str


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
    return _pinned().get(str(version), {}).get(arch)


def obtain(
    version: Version,
    arch: str,
    *,
    mirror: str | None,
    folder: str | None,
    digest: Mapping[str, str] | str | None,
    cache: Path,
    digests: Literal["pinned", "mirror"] = "pinned",
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
    with _one_at_a_time:
        if folder is not None:
            return _from_folder(version, arch, Path(folder).expanduser(), digest, digests)
        sums = source.rpartition("/")[0] + f"/{SUMS}"
        wanted = _expected(version, arch, digest, digests, lambda: _fetch_sums(sums))
        place = cache.expanduser() / wanted[:16] / archive_name(version, arch)
        if not (place.is_file() and _is_right(place, wanted)):
            _download(source, place, wanted, progress)
        return Archive(place, wanted)


@once
def _pinned() -> dict[str, dict[str, str]]:
    text = resources.files("etcd_steward.data").joinpath("etcd-sha256.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)["sha256"]
    return table


def _from_folder(
    version: Version,
    arch: str,
    folder: Path,
    digest: Mapping[str, str] | str | None,
    digests: Literal["pinned", "mirror"],
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

    wanted = _expected(version, arch, digest, digests, sums)
    found = _sha256(place)
    if found != wanted:
        raise _wrong_digest(found, wanted, str(place))
    return Archive(place, wanted)


def _expected(
    version: Version,
    arch: str,
    digest: Mapping[str, str] | str | None,
    digests: Literal["pinned", "mirror"],
    sums: Callable[[], str],
) -> str:
    given = digest.get(arch) if isinstance(digest, Mapping) else digest
    if given is not None:
        if not DIGEST.fullmatch(given.strip().lower()):
            raise ReleaseError(
                f"etcd_sha256 {given!r}", "64 hexadecimal digits", "copy it from the release's SHA256SUMS"
            )
        return given.strip().lower()
    name = archive_name(version, arch)
    sources: list[Callable[[], str | None]] = [
        lambda: pinned_digest(version, arch),
        lambda: _listed(sums(), name),
    ]
    for source in sources if digests == "pinned" else reversed(sources):
        known = source()
        if known is not None:
            return known
    raise ReleaseError(
        f"no SHA-256 of {name} in this package or in the source's {SUMS}",
        "a digest, as nothing is installed without one",
        f"set etcd_sha256 = {{'{arch}': '…'}}",
    )


def _listed(sums: str, name: str) -> str | None:
    for line in sums.splitlines():
        digest, _, file = line.strip().partition(" ")
        # sha256sum marks binary mode by a star.
        if file.strip().lstrip("*").removeprefix("./") == name and DIGEST.fullmatch(digest.lower()):
            return digest.lower()
    return None


def _is_right(place: Path, wanted: str) -> bool:
    if _sha256(place) == wanted:
        return True
    place.replace(_aside(place))
    return False


def _download(url: str, place: Path, wanted: str, progress: Callable[[str], None]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    progress(f"downloading {url}")
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f"{place.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            found = _receive(url, file, progress)
        except BaseException:
            temporary.unlink()
            raise
    if found != wanted:
        bad = _aside(place)
        temporary.replace(bad)
        raise _wrong_digest(found, wanted, f"{url}, kept as {bad}")
    temporary.replace(place)


def _receive(url: str, file: IO[bytes], progress: Callable[[str], None]) -> str:
    digest = hashlib.sha256()
    size = 0
    reported = time.monotonic()
    for chunk, length in _chunks(url):
        file.write(chunk)
        digest.update(chunk)
        size += len(chunk)
        if time.monotonic() - reported >= REPORT_S:
            reported = time.monotonic()
            progress(f"downloaded {size >> 20} of {length >> 20 if length else 'unknown'} MiB of {url}")
    return digest.hexdigest()


def _chunks(url: str) -> Iterator[tuple[bytes, int | None]]:
    request = urllib.request.Request(url, headers={"User-Agent": "etcd-steward"})  # noqa: S310 - http(s), see obtain
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:  # noqa: S310 - the same
            length = int(answer.headers["Content-Length"]) if answer.headers.get("Content-Length") else None
            size = 0
            while chunk := answer.read(CHUNK):
                size += len(chunk)
                yield chunk, length
    except urllib.error.HTTPError as error:
        raise ReleaseError(f"{error.code} {error.reason} at {url}", "the file", _elsewhere()) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ReleaseError(f"no answer from {url} ({reason})", "the file", _elsewhere()) from error
    # `read` with a size does not notice that a connection ended early.
    if length is not None and size != length:
        raise ReleaseError(
            f"{size} bytes of {url}", f"{length} bytes", "run again: the connection ended early"
        )


def _fetch_sums(url: str) -> str:
    text = b""
    try:
        for chunk, _ in _chunks(url):
            text += chunk
            if len(text) > LARGEST_SUMS:
                break
    except ReleaseError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code in {403, 404}:
            return ""
        raise
    return text.decode("utf-8", "replace")


def _elsewhere() -> str:
    return "correct etcd_version or etcd_mirror, or set etcd_archive_dir to a folder that has the archive"


def _aside(place: Path) -> Path:
    return place.with_name(f"{place.name}.bad")


def _wrong_digest(found: str, wanted: str, where: str) -> ReleaseError:
    return ReleaseError(
        f"SHA-256 {found} of {where}",
        wanted,
        "do not use it; where a mirror builds etcd itself, set etcd_digests = 'mirror' or etcd_sha256",
    )


def _sha256(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
