"""What pretended hosts were given over standard input, as the files that `put.sh` would have made of it."""

from __future__ import annotations

import hashlib
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.engine.fakes import Result

_CALL = re.compile(r"^(?:put|put_both) /.*$", re.MULTILINE)


def written(result: Result, host: str) -> dict[str, tuple[str, str, str]]:
    """Tell the files that a run wrote on a host.

    Args:
        result: the run.
        host: the host's inventory name.

    Returns:
        For each path its content, mode and owner.
    """
    files = {}
    stdin = iter(result.stdin[host])
    for command in result.commands[host]:
        if "put() {" not in command:
            continue
        calls = _CALL.findall(command)
        lines = next(stdin).splitlines(keepends=True) if calls else []
        for call in calls:
            words = shlex.split(call)[1:]
            for path, mode, owner, count in zip(*[iter(words)] * 4, strict=True):
                files[path] = ("".join(lines[: int(count)]), mode, owner)
                del lines[: int(count)]
        assert not lines, "every line went into a file"
    return files


def digests(files: dict[str, tuple[str, str, str]]) -> list[str]:
    """Answer as `etcd_steward.facts.files.Digests` does."""
    return [f"{digest(text)} {mode} {owner} {path}" for path, (text, mode, owner) in files.items()]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
