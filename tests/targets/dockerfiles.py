"""Docker images tagged by a digest of all that they are made from: an unchanged one is not rebuilt."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

from .common import docker, locked, run, scratch, telling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def exists(tag: str) -> bool:
    return run("docker", "image", "inspect", tag, check=False).returncode == 0


def build(
    name: str,
    dockerfile: Path,
    base: str,
    context: Mapping[str, Path],
    *,
    architecture: str = "amd64",
    labels: Mapping[str, str] | None = None,
) -> str:
    """Build a Dockerfile whose only argument is BASE.

    Args:
        name: repository part of the tag.
        dockerfile: the Dockerfile.
        base: image reference that ARG BASE gets.
        context: what COPY sees: name in the context to file or folder.
        architecture: amd64 or arm64.
        labels: labels of the image.

    Returns:
        The tag `<name>:<digest>`.
    """
    settings = [base, architecture, dockerfile.read_text(), sorted((labels or {}).items())]
    digest = hashlib.sha256(repr(settings).encode())
    for arrives_as, path in sorted(context.items()):
        for file in [path] if path.is_file() else sorted(part for part in path.rglob("*") if part.is_file()):
            digest.update(f"{arrives_as} {file.relative_to(path)} {os.access(file, os.X_OK)}\n".encode())
            digest.update(file.read_bytes())
    tag = f"{name}:{digest.hexdigest()[:12]}"
    with locked(f"image-{name.replace('/', '-')}"):
        if not exists(tag):
            with telling(f"building {tag}"), scratch(f"build-{name.replace('/', '-')}") as folder:
                for arrives_as, path in context.items():
                    if path.is_file():
                        shutil.copy2(path, folder / arrives_as)
                    else:
                        shutil.copytree(path, folder / arrives_as)
                shutil.copy2(dockerfile, folder / "Dockerfile")
                marks = [
                    part for key, value in (labels or {}).items() for part in ("--label", f"{key}={value}")
                ]
                docker(
                    "build", "-q", "--platform", f"linux/{architecture}", "--build-arg", f"BASE={base}",
                    *marks, "-t", tag, folder,
                )  # fmt: skip
    return tag


def import_rootfs(name: str, tarball: Path, architecture: str) -> str:
    """Make an image of a root filesystem; `docker import` would stamp the wrong architecture on arm64.

    Returns:
        The tag, which changes with the archive's size and time.
    """
    key = f"{tarball.name} {tarball.stat().st_size} {tarball.stat().st_mtime_ns}"
    tag = f"{name}:rootfs-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    with locked(f"image-{name.replace('/', '-')}"):
        if not exists(tag):
            with scratch(f"import-{architecture}") as folder:
                os.link(tarball, folder / "rootfs.tar")
                (folder / "Dockerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
                docker("build", "-q", "--platform", f"linux/{architecture}", "-t", tag, folder)
    return tag
