"""Container images of static programs, packed here: an OCI archive of one layer, as `ctr images import` reads it.

The layout is that of the OCI image specification 1.1 (image-layout.md, manifest.md, config.md).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import mirror, programs
from .common import CACHE, arriving, locked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .hosts import Host

IMAGES = CACHE / "oci"
PAUSE = "registry.k8s.io/pause:3.10.2"
KUBERNETES = "kubernetes-1.37"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_FOLDER = "usr/local/bin"
_TYPE = "application/vnd.oci.image."


def archive(name: str, contents: Mapping[str, Path], entrypoint: str) -> Path:
    """Pack static programs into an image of amd64, once.

    Args:
        name: the image's name with its tag, such as registry.k8s.io/etcd:3.6.16-0.
        contents: each program's name in the image, and the program.
        entrypoint: the program that runs where a pod names none.

    Returns:
        The archive, in the cache.
    """
    key = hashlib.sha256(f"{name} {entrypoint}".encode())
    for program, path in sorted(contents.items()):
        key.update(f"{program} {path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    made = IMAGES / f"{name.replace('/', '+').replace(':', '@')}-{key.hexdigest()[:12]}.tar"
    with locked(f"oci-{made.name}"):
        if not made.exists():
            with arriving(made) as partial:
                partial.write_bytes(_packed(name, contents, entrypoint))
    return made


def etcd(version: str, pattern: str = "registry.k8s.io/etcd:{version}-0") -> Path:
    """Pack a release of etcd out of the mirror's archive.

    Args:
        version: such as 3.6.16.
        pattern: the setting `etcd_image`.
    """
    packed = mirror.prepare(version) / f"v{version}" / mirror.archive_name(version, "amd64")
    folder = CACHE / "oci-programs" / mirror.sha256(packed)[:12]
    with locked(f"oci-etcd-{version}"):
        if not folder.exists():
            with arriving(folder) as partial, tarfile.open(packed) as tar:
                partial.mkdir()
                for entry in tar.getmembers():
                    name = Path(entry.name).name
                    content = tar.extractfile(entry) if name in mirror.PROGRAMS else None
                    if content:
                        (partial / name).write_bytes(content.read())
    contents = {path.name: path for path in sorted(folder.iterdir())}
    return archive(pattern.replace("{version}", version), contents, "etcd")


def pause() -> Path:
    """Pack our own program that waits, as the first one of every pod."""
    return archive(PAUSE, {"pause": programs.built("cri-tools", "pause")}, "pause")


def control_plane() -> list[Path]:
    """Pack what kubeadm runs as static pods, under the names that it asks for."""
    version = programs.module(KUBERNETES).version
    found = programs.build(KUBERNETES, *CONTROL_PLANE)
    return [archive(f"registry.k8s.io/{name}:v{version}", {name: path}, name) for name, path in found.items()]


def load(host: Host, *archives: Path) -> None:
    """Give images to a host's containerd, for kubelet; containerd has to run."""
    for path in archives:
        host.write("/tmp/image.tar", path.read_bytes())
        host.run("ctr", "-n", "k8s.io", "images", "import", "/tmp/image.tar")
        host.run("rm", "/tmp/image.tar")


def _packed(name: str, contents: Mapping[str, Path], entrypoint: str) -> bytes:
    layer = _tar({f"{_FOLDER}/{program}": path.read_bytes() for program, path in contents.items()}, 0o755)
    blobs: dict[str, bytes] = {}

    def blob(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH=/{_FOLDER}"], "Entrypoint": [f"/{_FOLDER}/{entrypoint}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}manifest.v1+json",
        "config": blob(f"{_TYPE}config.v1+json", json.dumps(config).encode()),
        "layers": [blob(f"{_TYPE}layer.v1.tar+gzip", gzip.compress(layer, compresslevel=1, mtime=0))],
    }
    named = blob(f"{_TYPE}manifest.v1+json", json.dumps(manifest).encode())
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}index.v1+json",
        "manifests": [{**named, "annotations": {"io.containerd.image.name": name}}],
    }
    layout = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps(index).encode(),
    }
    return _tar({**layout, **blobs}, 0o644)


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, mirror.MTIME
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue()
