"""Makes commands out of the shell fragments in `templates/`, with every value quoted."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from etcd_steward.templating import text

__all__ = ["KEPT", "Content", "Script", "framed", "guard", "is_lines", "put_calls", "script", "settle_calls"]

# Where copies of files lie that somebody else wrote, under their whole paths: beside them some programs would read the copies.
KEPT = "/etc/etcd-steward/before"


class Script(str):
    """Shell text that shows itself by a short label, as pyinfra prints the arguments of facts.

    It begins with `environment.sh`, so that nothing of root's environment reaches what it runs.
    """

    __slots__ = ("label",)

    label: str

    def __new__(cls, label: str, content: str) -> Self:
        """Make the text."""
        head = text("environment.sh")
        self = super().__new__(cls, content if content.startswith(head) else head + content)
        self.label = label
        return self

    def __str__(self) -> str:
        return self.label

    def __repr__(self) -> str:
        return f"<{self.label}>"

    def __format__(self, format_spec: str) -> str:
        return self.label


def script(*fragments: str, **values: str | int | Sequence[str] | None) -> Script:
    """Put shell variables in front of fragments.

    Args:
        fragments: file names in `templates/`, the last of which names the script.
        values: their variables; a list becomes words separated by spaces, None an empty text.

    Returns:
        The script; every value is quoted once, so it may hold anything.
    """
    lines = [f"{key}={shlex.quote(_flat(value))}" for key, value in values.items()]
    return Script(fragments[-1].removesuffix(".sh"), "\n".join([*lines, *map(text, fragments)]))


def guard() -> str:
    """Write what every command that changes a host begins with.

    Returns:
        Shell text that clears the environment and waits for a command of an earlier run.
    """
    return text("environment.sh") + text("guard.sh")


def _flat(value: str | int | Sequence[str] | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int) else " ".join(value)


@dataclass(frozen=True)
class Content:
    """A file that is to be written.

    Args:
        path: where.
        content: what is in it; ends with a line break.
        mode: octal, without a leading zero.
        owner: `user:group`.
        with_next: it is switched together with the one that follows, which lies in the same folder.
    """

    path: str
    content: str = field(repr=False)
    mode: str = "644"
    owner: str = "root:root"
    with_next: bool = False


def put_calls(files: Sequence[Content]) -> str:
    """Write the calls that put all of some files on the disk; their contents come over standard input, see `framed`.

    Nothing is in its place until `settle_calls` renames them.

    Args:
        files: the files, in the order in which they are written.

    Returns:
        Shell text that goes behind the fragment `put.sh`.
    """
    return _calls("put", files, lambda file: f"{file.mode} {file.owner} {file.content.count(chr(10))}")


def settle_calls(files: Sequence[Content]) -> str:
    """Write the calls that rename what `put_calls` has put on the disk.

    Args:
        files: the same files, in the same order.

    Returns:
        Shell text that goes behind that of `put_calls`, in the same shell.
    """
    return _calls("settle", files, lambda _: "")


def _calls(verb: str, files: Sequence[Content], words: Callable[[Content], str]) -> str:
    """Write one call for each file, or one for two that are switched together."""
    calls, both = [], ""
    for file in files:
        told = f" {shlex.quote(file.path)} {words(file)}".rstrip()
        if file.with_next:
            both = f"{verb}_both{told}"
            continue
        calls.append(f"{both or verb}{told}")
        both = ""
    return "\n".join(calls)


def is_lines(content: str) -> bool:
    """Tell whether a content can be written: lines of text, each with its end, or nothing.

    Args:
        content: what is in a file.
    """
    return (not content or content.endswith("\n")) and "\r" not in content and "\0" not in content


def framed(files: Sequence[Content]) -> str:
    """Join the contents for standard input: `put` counts lines, so no mark between them is needed.

    Args:
        files: the files, in the order in which they are written.

    Returns:
        The text for standard input.

    Raises:
        ValueError: a content does not end with a line break.
    """
    for file in files:
        if not is_lines(file.content):
            raise ValueError(f"{file.path}: its content must be lines of text")
    return "".join(file.content for file in files)
