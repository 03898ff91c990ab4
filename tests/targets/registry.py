"""A registry of the images that are packed here, on a lab's own network: what `crictl pull` and kubelet pull from.

It knows as much of the OCI distribution specification 1.1 as a pull needs: manifests by tag and digest, and blobs.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import tarfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .common import docker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .hosts import Host, Lab

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ASKED = "registry.k8s.io"


class Images:
    """Archives of images (tests/targets/oci.py), found by name and by digest.

    Args:
        archives: one image each.
    """

    def __init__(self, archives: Iterable[Path]) -> None:
        self.pulled: list[str] = []  # manifests that were asked for by their tag
        self._tags: dict[str, str] = {}
        self._blobs: dict[str, Path] = {}
        for path in archives:
            with tarfile.open(path) as tar:
                index = json.load(_member(tar, "index.json"))
                self._blobs |= {
                    f"sha256:{name.rpartition('/')[2]}": path
                    for name in tar.getnames()
                    if name.startswith("blobs/")
                }
            for entry in index["manifests"]:
                name = entry["annotations"]["io.containerd.image.name"].partition("/")[2]
                self._tags[name] = entry["digest"]

    def manifest(self, name: str, reference: str) -> bytes | None:
        """Give a manifest by its tag or its digest."""
        if reference.startswith("sha256:"):
            return self.blob(reference)
        digest = self._tags.get(f"{name}:{reference}")
        self.pulled.append(f"{name}:{reference}")
        return self.blob(digest) if digest else None

    def blob(self, digest: str) -> bytes | None:
        """Give a blob by its digest."""
        path = self._blobs.get(digest)
        if path is None:
            return None
        with tarfile.open(path) as tar:
            content: bytes = _member(tar, f"blobs/sha256/{digest.removeprefix('sha256:')}").read()
            return content


def _member(tar: tarfile.TarFile, name: str) -> Any:
    found = tar.extractfile(name)
    assert found is not None
    return found


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, images: Images) -> None:
        self.images = images
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        content: bytes | None = None
        kind = "application/octet-stream"
        match parts:
            case ["v2"]:
                content, kind = b"{}", "application/json"
            case ["v2", *name, "manifests", reference]:
                content, kind = self.images.manifest("/".join(name), reference), MANIFEST
            case ["v2", *_, "blobs", digest]:
                content = self.images.blob(digest)
        self.send_response(200 if content is not None else 404)
        body = content or b""
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serve(lab: Lab, archives: Iterable[Path]) -> Iterator[tuple[str, Images]]:
    """Serve images on the address that this machine has in a lab's network.

    Args:
        lab: the lab.
        archives: of the images.

    Yields:
        The registry's address, and what it holds.
    """
    address = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", lab.network)
    if not address:
        address = f"{next(iter(lab.hosts.values())).address.rpartition('.')[0]}.1"
    images = Images(archives)
    handler = functools.partial(_Handler, images=images)
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{address}:{server.server_address[1]}", images
        finally:
            server.shutdown()
            thread.join()


def trust(host: Host, address: str) -> None:
    """Have a host's containerd ask this registry for the images of the usual one, as an operator sets a mirror up."""
    text = f'server = "{address}"\n[host."{address}"]\ncapabilities = ["pull", "resolve"]\n'
    host.write(f"/etc/containerd/certs.d/{ASKED}/hosts.toml", text)
