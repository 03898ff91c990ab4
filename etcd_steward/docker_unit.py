"""How docker's own unit starts it, so that a drop-in which adds an option keeps all the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["DAEMON_JSON", "VARIABLE", "Docker", "config_file", "parse_unit", "program_of"]

VARIABLE = "$DOCKER_NETWORK_OPTIONS"
# What docker reads beside its flags, unless it is told another file.
DAEMON_JSON = "/etc/docker/daemon.json"

# systemctl cat puts the path of each file above it.
_HEADER = re.compile(r"# (/\S+\.(?:service|conf))")


@dataclass(frozen=True)
class Docker:
    """What a look told of docker.

    Args:
        unit: whether there is one.
        command: how it starts docker, without what we have added; empty where it tells none.
        programs: those of the programs in question that are there.
    """

    unit: bool = False
    command: str = ""
    programs: frozenset[str] = frozenset()

    def started(self, setting: str | None) -> str:
        """Give the command that starts docker with flannel's options; empty where there is no docker to start.

        Args:
            setting: the operator's own command, or None for the unit's.
        """
        command = setting or self.command
        if not self.unit or not command:
            return ""
        known = VARIABLE in command or f"${{{VARIABLE[1:]}}}" in command
        return command if known else f"{command} {VARIABLE}"


def program_of(command: str) -> str:
    """Name the program of a command, without the signs that systemd knows in front of it.

    Args:
        command: what stands behind `ExecStart=`.
    """
    return command.split(maxsplit=1)[0].lstrip("-@:+!") if command.split() else ""


def config_file(command: str) -> str:
    """Name the file that a command of docker reads beside its flags; empty where there is no command.

    Args:
        command: how docker is started.
    """
    found = re.search(r"--config-file[= ](\S+)", command)
    return found[1] if found else DAEMON_JSON if command else ""


def parse_unit(lines: Iterable[str], programs: Iterable[str]) -> Docker:
    """Read what `systemctl cat docker.service` printed.

    Args:
        lines: a unit and its drop-ins, in the order in which systemd reads them; ours are passed over.
        programs: programs that are there.

    Returns:
        What it tells.
    """
    files: list[list[str]] = []
    for line in lines:
        if _HEADER.fullmatch(line):
            files.append([])
        elif files:
            files[-1].append(line)
    commands: list[str] = []
    for file in files:
        if any("ritten by etcd-steward" in line for line in file):
            continue
        for value in _values(file, "ExecStart"):
            # An empty one takes back what was there before.
            commands = [*commands, value] if value else []
    return Docker(bool(files), commands[-1] if commands else "", frozenset(programs))


def _values(lines: Iterable[str], key: str) -> list[str]:
    """List the values of a key, with lines that go on joined."""
    values: list[str] = []
    open_ = False
    for line in lines:
        text = line.strip()
        if text.startswith(("#", ";")):
            continue
        ours = open_ or re.match(rf"{key}\s*=", text)
        if ours:
            part = text if open_ else text.partition("=")[2].strip()
            more = part.endswith("\\")
            part = part.rstrip("\\").strip()
            if open_:
                values[-1] = f"{values[-1]} {part}".strip()
            else:
                values.append(part)
            open_ = more
    return values
