"""Which releases of etcd lie on a host."""

from __future__ import annotations

import shlex

from pyinfra.api import FactBase, StringCommand

__all__ = ["Releases"]


class Releases(FactBase[dict[str, str]]):
    """Returns the releases below a folder, each with the SHA-256 of the archive it came from."""

    default = dict

    def command(self, prefix: str = "/opt/etcd") -> StringCommand:
        """Make the command.

        Args:
            prefix: folder in which every release has one of its own.
        """
        folder = shlex.quote(prefix)
        return StringCommand(
            f'for d in {folder}/*/; do [ -f "${{d}}.archive-sha256" ] && echo "$(basename "$d") $(cat "${{d}}.archive-sha256")"; done; true',
        )

    def process(self, output: list[str]) -> dict[str, str]:
        """Read the lines: version, digest."""
        return dict(line.split() for line in output)
