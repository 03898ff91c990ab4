"""Kubernetes' own programs for tests: published as dl.k8s.io has them, and put on hosts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import mirror, programs
from .common import CACHE, arriving, locked

if TYPE_CHECKING:
    from pathlib import Path

    from .hosts import Host, Lab

MODULE = "kubernetes-1.37"
RELEASE = f"v{programs.module(MODULE).version}"


def published(*tools: str) -> Path:
    """Lay programs out as `https://dl.k8s.io/release` does, each with its digest beside it.

    Args:
        tools: such as kubelet; built where they are not in the cache.

    Returns:
        The root folder, for `mirror.serve`.
    """
    root = CACHE / "kubernetes" / programs.module(MODULE).key
    folder = root / RELEASE / "bin/linux/amd64"
    with locked("kubernetes-published"):
        folder.mkdir(parents=True, exist_ok=True)
        for tool, program in programs.build(MODULE, *tools).items():
            if not (folder / f"{tool}.sha256").exists():
                (folder / tool).unlink(missing_ok=True)
                os.link(program, folder / tool)
                with arriving(folder / f"{tool}.sha256") as partial:
                    partial.write_text(mirror.sha256(program))
    return root


def noted(lab: Lab, *tools: str) -> None:
    """Note for the result lines what the hosts of a lab run besides etcd."""
    used = {f"{tool} {RELEASE.removeprefix('v')}": "Go modules" for tool in tools}
    for host in lab.hosts.values():
        # Such as: containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1
        found = host.run("containerd --version", check=False).stdout.split()
        if len(found) > 2:
            used[f"containerd {found[2].removeprefix('v')}"] = "Debian"
    lab.uses(used)


def bring_crictl(host: Host) -> None:
    """Put crictl where the package cri-tools has it."""
    host.write("/usr/bin/crictl", programs.built("cri-tools", "crictl").read_bytes(), 0o755)
