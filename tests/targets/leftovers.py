"""Labs are found again by their labels alone: what a killed run left can be removed, and nothing else."""

from __future__ import annotations

from pathlib import Path

from .common import CommandError, docker, locked

LAB_LABEL = "etcd-steward.lab"
OWNER_LABEL = "etcd-steward.owner"
KEPT = "0:kept"  # in place of the owner's process id and start time


def remove_leftovers(lab: str | None = None) -> int:
    """Remove the labs whose process has ended and that are not to be kept, or the one of that name.

    Returns:
        How many containers were removed.

    Raises:
        CommandError: the lab of that name belongs to a process that still runs.
    """
    count = 0
    with locked("leftovers"):  # two workers would remove the same ones
        for owner, name in _labs():
            if name != lab if lab else owner == KEPT:
                continue
            pid, started = owner.split(":")
            if started_at(int(pid)) != started:
                count += remove(f"{LAB_LABEL}={name}")
            elif lab:
                raise CommandError(
                    f"lab {lab}: process {pid} uses it; next: wait for it, or take another name"
                )
    return count


def _labs() -> set[tuple[str, str]]:
    template = f'{{{{.Label "{OWNER_LABEL}"}}}} {{{{.Label "{LAB_LABEL}"}}}}'
    containers = docker("ps", "-a", "--filter", f"label={LAB_LABEL}", "--format", template)
    networks = docker("network", "ls", "--filter", f"label={LAB_LABEL}", "--format", template)
    return {
        (owner, name)
        for owner, name in (line.split() for line in f"{containers}\n{networks}".split("\n") if line)
    }


def remove(label: str) -> int:
    containers = docker("ps", "-aq", "--filter", f"label={label}").split()
    if containers:
        docker("rm", "-f", "-v", *containers)
    networks = docker("network", "ls", "-q", "--filter", f"label={label}").split()
    if networks:
        docker("network", "rm", *networks)
    return len(containers)


def started_at(pid: int) -> str:
    """Give a process's start time, which tells it from a later one with the same id."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""
