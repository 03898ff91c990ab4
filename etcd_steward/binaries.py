"""Single programs on the controller, such as k3s: downloaded once, and used only with the right digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etcd_steward.downloads import (
    DIGEST,
    ONE_AT_A_TIME,
    Archive,
    Cures,
    ReleaseError,
    fetch,
    fetch_sums,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Program", "obtain"]


@dataclass(frozen=True)
class Program:
    """A program that is one file.

    Args:
        name: what it is called on a host.
        version: its release.
        arch: the architecture, as the setting for digests names it.
        url: where it comes from.
        sums: where its digest is: a list as `sha256sum` prints it, or the digest alone.
        settings: the names of the settings that it follows from: release, mirror and digest.
        many: the setting for digests holds those of several programs, by their names.
    """

    name: str
    version: str
    arch: str
    url: str
    sums: str
    settings: tuple[str, str, str]
    many: bool = False

    def digest_setting(self, value: str) -> str:
        """Write the line that gives the program a digest.

        Args:
            value: the digest, or what stands for it.
        """
        alone = {self.arch: value}
        return f"{self.settings[2]} = { {self.name: alone} if self.many else alone }"

    @property
    def cures(self) -> Cures:
        """What is advised where it cannot be had."""
        release, mirror, digest = self.settings
        return Cures(
            missing=f"correct {release} or {mirror}",
            wrong=f"do not use it; where a mirror builds its own, set {digest}",
        )


def obtain(
    program: Program,
    digest: Mapping[str, str] | str | None,
    cache: Path,
    progress: Callable[[str], None] = lambda _: None,
    *,
    known_only: bool = False,
) -> Archive:
    """Get a verified program, from the cache or from where it is published.

    Args:
        program: which.
        digest: the SHA-256 that the operator expects, one or by architecture; otherwise the one beside the program.
        cache: folder on the controller for verified files, made if needed.
        progress: called with a sentence at least every few seconds while something takes time.
        known_only: believe no list beside the program (`etcd_require_digest`).

    Returns:
        The file.

    Raises:
        ReleaseError: there is no file, no digest, or they do not fit together.
    """
    with ONE_AT_A_TIME:
        wanted = _expected(program, digest, known_only=known_only)
        place = cache.expanduser() / wanted[:16] / f"{program.name}-{program.version}-{program.arch}"
        return fetch(program.url, place, wanted, program.cures, progress)


def _expected(program: Program, digest: Mapping[str, str] | str | None, *, known_only: bool) -> str:
    given = digest.get(program.arch) if isinstance(digest, Mapping) else digest
    if given is not None:
        return given.strip().lower()
    if known_only:
        raise ReleaseError(
            f"no SHA-256 of {program.url} in {program.settings[2]}",
            "one, as etcd_require_digest is set",
            f"set {program.digest_setting('…')}",
        )
    sums = fetch_sums(program.sums, program.cures)
    alone = sums.strip().lower()
    known = alone if DIGEST.fullmatch(alone) else listed(sums, program.url.rpartition("/")[2])
    if known is None:
        raise ReleaseError(
            f"no SHA-256 of {program.url} in {program.sums}",
            "a digest, as nothing is installed without one",
            f"set {program.digest_setting('…')}",
        )
    return known
