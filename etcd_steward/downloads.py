"""Downloads to the controller: kept, and used only with the digest that was known beforehand."""

from __future__ import annotations

import hashlib
import http.client
import re
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "DIGEST",
    "ONE_AT_A_TIME",
    "Archive",
    "Cures",
    "ReleaseError",
    "fetch",
    "fetch_sums",
    "listed",
    "sha256",
]

DIGEST = re.compile(r"[0-9a-f]{64}")

SILENCE_S = 30  # a server that sends nothing for so long is given up
REPORT_S = 5  # a download says at least so often how far it is
CHUNK = 256 * 1024
LARGEST_SUMS = 1024 * 1024
LARGEST = 2 << 30  # no release is half as large
# Less is given up, as it would take hours: a kilobyte a second.
MINUTE_S, LEAST_A_MINUTE = 60, 60 * 1024
_DIGITS = 16

# Hosts ask at the same time, and the first one's download serves them all.
ONE_AT_A_TIME = threading.Lock()


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


@dataclass(frozen=True)
class Cures:
    """What the operator does about a download that fails: it names the settings that it came from.

    Args:
        missing: where the file is not there.
        wrong: where it is not what its digest says.
    """

    missing: str
    wrong: str

    def wrong_digest(self, found: str, wanted: str, where: str) -> ReleaseError:
        """Complain of a file that is not what it should be.

        Args:
            found: its SHA-256.
            wanted: the right one.
            where: the file.

        Returns:
            The error.
        """
        return ReleaseError(f"SHA-256 {found} of {where}", wanted, self.wrong)


def fetch(url: str, place: Path, wanted: str, cures: Cures, progress: Callable[[str], None]) -> Archive:
    """Get a file from the cache, or download it there; ask while holding `ONE_AT_A_TIME`.

    Args:
        url: where it comes from.
        place: where it is kept; its folder is made if needed.
        wanted: its SHA-256.
        cures: what is advised where it fails.
        progress: called with a sentence at least every few seconds.

    Returns:
        The verified file.

    Raises:
        ReleaseError: it cannot be had, or is another.
    """
    if not (place.is_file() and _is_right(place, wanted)):
        _download(url, place, wanted, cures, progress)
    return Archive(place, wanted)


def fetch_sums(url: str, cures: Cures) -> str:
    """Download a list of digests.

    Args:
        url: where it is.
        cures: what is advised where it fails.

    Returns:
        Its text; empty where there is none.

    Raises:
        ReleaseError: the server did not answer.
    """
    text = b""
    try:
        for chunk, _ in _chunks(url, cures):
            text += chunk
            if len(text) > LARGEST_SUMS:
                break
    except ReleaseError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError) and error.__cause__.code in {403, 404}:
            return ""
        raise
    return text.decode("utf-8", "replace")


def listed(sums: str, name: str) -> str | None:
    """Find a file in a list of digests, as `sha256sum` prints it.

    Args:
        sums: the list.
        name: the file's name.

    Returns:
        Its digest, or None.
    """
    for line in sums.splitlines():
        digest, _, file = line.strip().partition(" ")
        # sha256sum marks binary mode by a star.
        if file.strip().lstrip("*").removeprefix("./") == name and DIGEST.fullmatch(digest.lower()):
            return digest.lower()
    return None


def sha256(place: Path) -> str:
    """Digest a file of this machine.

    Args:
        place: the file.

    Returns:
        64 hexadecimal digits.
    """
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_right(place: Path, wanted: str) -> bool:
    if sha256(place) == wanted:
        return True
    place.replace(_aside(place))
    return False


def _download(url: str, place: Path, wanted: str, cures: Cures, progress: Callable[[str], None]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    progress(f"downloading {url}")
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f"{place.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            found = _receive(url, file, cures, progress)
        except BaseException:
            temporary.unlink()
            raise
    if found != wanted:
        bad = _aside(place)
        temporary.replace(bad)
        raise cures.wrong_digest(found, wanted, f"{url}, kept as {bad}")
    temporary.replace(place)


def _receive(url: str, file: IO[bytes], cures: Cures, progress: Callable[[str], None]) -> str:
    digest = hashlib.sha256()
    size = 0
    reported = time.monotonic()
    for chunk, length in _chunks(url, cures):
        file.write(chunk)
        digest.update(chunk)
        size += len(chunk)
        if time.monotonic() - reported >= REPORT_S:
            reported = time.monotonic()
            progress(f"downloaded {size >> 20} of {length >> 20 if length else 'unknown'} MiB of {url}")
    return digest.hexdigest()


def _chunks(url: str, cures: Cures) -> Iterator[tuple[bytes, int | None]]:
    request = urllib.request.Request(url, headers={"User-Agent": "etcd-steward"})  # noqa: S310 - http(s), see obtain
    size = 0
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:  # noqa: S310 - the same
            told = answer.headers.get("Content-Length") or ""
            # A server that writes anything else has told nothing; the digest judges what came.
            length = int(told) if told.isascii() and told.isdigit() and len(told) < _DIGITS else None
            since, before = time.monotonic(), 0
            # `read` waits until all of a chunk is there, however slowly it comes.
            while chunk := answer.read1(CHUNK):
                size += len(chunk)
                if size > LARGEST:
                    raise ReleaseError(f"more than {LARGEST >> 20} MiB at {url}", "the file", cures.missing)
                now = time.monotonic()
                if now - since >= MINUTE_S:
                    if size - before < LEAST_A_MINUTE:
                        raise ReleaseError(
                            f"{size - before} bytes of {url} in {MINUTE_S} s", "the file", cures.missing
                        )
                    since, before = now, size
                yield chunk, length
    except urllib.error.HTTPError as error:
        raise ReleaseError(f"{error.code} {error.reason} at {url}", "the file", cures.missing) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ReleaseError(f"no answer from {url} ({reason})", "the file", cures.missing) from error
    # `read1` does not notice that a connection ended early.
    if length is not None and size != length:
        raise ReleaseError(
            f"{size} bytes of {url}", f"{length} bytes", "run again: the connection ended early"
        )


def _aside(place: Path) -> Path:
    return place.with_name(f"{place.name}.bad")
