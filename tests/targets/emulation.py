"""Runs arm64 programs on an amd64 machine: qemu-user, registered with the kernel's binfmt_misc."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from .common import CommandError, locked, need, run, say

BINFMT = Path("/proc/sys/fs/binfmt_misc")
PACKAGED = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")


def ensure() -> None:
    """Register qemu for aarch64 unless the machine is one or something did already.

    The flags get a C (credentials): without it sudo inside the container is not root. F (fixed), which Debian
    sets, takes qemu from outside the container.
    """
    if platform.machine() == "aarch64" or any(BINFMT.glob("qemu-aarch64*")):
        return
    if os.geteuid() != 0:
        raise CommandError("found no emulation of arm64; next: as root: apt-get install qemu-user-static")
    need("qemu-aarch64-static")
    with locked("emulation"):
        if not (BINFMT / "register").exists():
            run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    with locked("emulation"):
        if any(BINFMT.glob("qemu-aarch64*")):
            return
        say("registering qemu for arm64")
        line = next(text for text in PACKAGED.read_text().splitlines() if text.startswith(":"))
        (BINFMT / "register").write_text(
            line.removesuffix(":OPF") + ":OPCF" if line.endswith(":OPF") else line
        )
