"""Files on a host: their digests, modes and owners, and the text of those that are no secret."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pyinfra.api import FactBase, StringCommand

from etcd_steward.observed import File
from etcd_steward.parsing import whole_line
from etcd_steward.shell import script

__all__ = ["Chain", "Digests", "Texts"]


class Digests(FactBase[Mapping[str, File]]):
    """Returns digest, mode and owner of each of some paths that exist; never their content."""

    default = dict

    def command(self, paths: list[str]) -> StringCommand:
        """Make the command.

        Args:
            paths: absolute paths.
        """
        words = " ".join(shlex.quote(path) for path in paths)
        return StringCommand(
            f'for file in {words}; do if [ -f "$file" ]; then sum=$(sha256sum <"$file"); '
            'echo "${sum%% *} $(stat -c \'%a %U:%G\' "$file") $file"; fi; done',
        )

    def process(self, output: list[str]) -> Mapping[str, File]:
        """Read the lines: digest, mode, owner, path."""
        fields = (line.split(" ", 3) for line in output)
        return {path: File(digest, mode, owner, ours=True) for digest, mode, owner, path in fields}


class Chain(FactBase[list[str]]):
    """Returns the lines of the certificates in one file, and nothing else that stands there."""

    default = list

    def command(self, path: str) -> StringCommand:
        """Make the command.

        Args:
            path: an absolute path.
        """
        return StringCommand(script("certificates.sh") + f"\ncertificates_in {shlex.quote(path)} pem")

    def process(self, output: list[str]) -> list[str]:
        """Put the parts of the lines together."""
        return [whole_line(line.partition(" ")[2]) for line in output]


class Texts(FactBase[list[str]]):
    """Returns the lines of one file; for files that hold no secret."""

    default = list

    def command(self, path: str) -> StringCommand:
        """Make the command.

        Args:
            path: an absolute path.
        """
        quoted = shlex.quote(path)
        return StringCommand(f"[ ! -f {quoted} ] || cat {quoted}")

    def process(self, output: list[str]) -> list[str]:
        """Take the lines as they are."""
        return list(output)
