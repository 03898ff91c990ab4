"""Packages and sources from Debian's archive, of any suite and architecture, apart from the machine's apt.

The archive's address comes from the machine's own apt configuration.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .common import CACHE, arriving, locked, run, scratch

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURES = ("amd64", "arm64")


@cache
def archive() -> tuple[str, str]:
    """Give the address of the machine's Debian archive and the name of its own suite."""
    template = "$(REPO_URI) $(CODENAME) $(ORIGIN)"
    lines = run("apt-get", "indextargets", "--format", template, "Created-By: Packages").stdout.splitlines()
    for line in lines:
        address, suite, origin = [*line.split(), "", "", ""][:3]
        if origin == "Debian" and suite and "-" not in suite:
            return address, suite
    raise RuntimeError(f"found no Debian archive in apt's configuration ({lines}); next: ETCDTEST_BASES=hub")


def _apt(suite: str) -> list[str]:
    folder = CACHE / "apt" / suite
    address, own = archive()
    options = {
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Dir::Cache::pkgcache": "packages.bin",  # container images switch these off, which costs 2 s a call
        "Dir::Cache::srcpkgcache": "sources.bin",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::status": folder / "status",
        "APT::Architectures": ",".join(ARCHITECTURES),
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
        "Debug::NoLocking": "true",
    }
    arguments = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    with locked(f"apt-{suite}"):
        if not (folder / "updated").exists():
            for name in ("lists/partial", "cache/archives/partial"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / "status").touch()
            key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
            kinds = ("deb", "deb-src") if suite == own else ("deb",)
            lines = [f"{kind} {key} {address} {suite} main\n" for kind in kinds]
            (folder / "sources.list").write_text("".join(lines))
            run("apt-get", "-q", *arguments, "update")
            (folder / "updated").touch()
    return arguments


def binary(suite: str, package: str, architecture: str) -> Path:
    """Download a binary package, or take it from the cache.

    Returns:
        The .deb file.
    """
    folder = CACHE / "debs" / suite / architecture / package
    with locked(f"deb-{suite}-{architecture}-{package}"):
        if not folder.exists():
            with arriving(folder) as partial:
                partial.mkdir()
                run("apt-get", *_apt(suite), "-q", "download", f"{package}:{architecture}", cwd=partial)
    return next(folder.glob("*.deb"))


def unpacked(suite: str, package: str, architecture: str) -> Path:
    """Give the folder with a package's files."""
    folder = CACHE / "unpacked" / suite / architecture / package
    with locked(f"unpacked-{suite}-{architecture}-{package}"):
        if not folder.exists():
            deb = binary(suite, package, architecture)
            with arriving(folder) as partial:
                run("dpkg-deb", "-x", deb, partial)
    return folder


def source(package: str, into: Path) -> Path:
    """Download and unpack a source package of the machine's own suite.

    Returns:
        The unpacked folder inside `into`.
    """
    _, suite = archive()
    with scratch(f"source-{package}") as folder:
        run("apt-get", *_apt(suite), "-q", "--only-source", "source", package, cwd=folder)
        (unpacked_source,) = (path for path in folder.iterdir() if path.is_dir())
        return unpacked_source.rename(into / unpacked_source.name)
