"""Put files on a host: atomically, durably, and silently where they are secret."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyinfra import context
from pyinfra.api import FunctionCommand, StringCommand, operation

from etcd_steward.facts.files import Digests, Texts
from etcd_steward.failing import failing
from etcd_steward.observed import File, holds
from etcd_steward.shell import Content, framed, guard, is_lines, put_calls, settle_calls
from etcd_steward.templating import text

__all__ = ["FileSpec", "put", "show_differences", "writing"]


class TextFile(Protocol):
    """A path and its text."""

    @property
    def path(self) -> str:
        """Where."""

    @property
    def content(self) -> str:
        """What is in it."""


@dataclass(frozen=True)
class FileSpec:
    """A file that should be on a host.

    Args:
        path: where.
        content: its text, or what makes it when the operation is executed (so that no key is made in a dry run).
        mode: octal, without a leading zero.
        owner: `user:group`.
        secret: never shown by `--diff`.
    """

    path: str
    content: str | Callable[[], str] = field(repr=False)
    mode: str = "644"
    owner: str = "root:root"
    secret: bool = False

    def made(self) -> Content:
        """Make the content now."""
        content = self.content if isinstance(self.content, str) else self.content()
        return Content(self.path, content, self.mode, self.owner)


@operation()
def put(
    files: list[FileSpec], present: Mapping[str, File] | None = None
) -> Generator[StringCommand | FunctionCommand, None, None]:
    r"""
    Put files on a host in one command; their contents travel over standard input and appear in no log.

    + files: the files, in the order in which they are written
    + present: what is there, where the caller knows; otherwise it is asked

    **Example:**

    .. code:: python

        from etcd_steward.operations import files

        files.put(
            name="Write the banner",
            files=[files.FileSpec("/etc/motd", "Mind the quorum.\n")],
        )
    """
    host = context.host
    odd = [file.path for file in files if isinstance(file.content, str) and not is_lines(file.content)]
    if odd:
        yield failing(
            f"found a content for {', '.join(odd)} that is not lines of text, wanted lines that end with a line break; "
            "next: end the text with \\n, and take a file upload for what is no text"
        )
        return
    found = host.get_fact(Digests, paths=[file.path for file in files]) if present is None else present
    due = [
        file for file in files if not isinstance(file.content, str) or not _same(found.get(file.path), file)
    ]
    if not due:
        host.noop("every file is already as it should be")
        return
    show_differences([file.made() for file in due if isinstance(file.content, str) and not file.secret])
    if not host.state.is_executing:
        yield StringCommand("# put", *(file.path for file in due))
        return
    yield writing([file.made() for file in due])


def _same(found: File | None, wanted: FileSpec) -> bool:
    return isinstance(wanted.content, str) and holds(found, wanted.made())


def writing(files: list[Content], before: str = "", after: str = "", between: str = "") -> StringCommand:
    """Make the command that writes files, with something before and after it in the same shell.

    All files lie on the disk before any is renamed, so that a full disk is found out while nothing is changed.

    Args:
        files: the files.
        before: shell text that runs first.
        after: shell text that runs last.
        between: shell text that runs when all files lie on the disk, and none is in its place: what stops a service.

    Returns:
        A command; it stops at the first error.
    """
    # What is started afterwards shall not stand in a folder of ours.
    calls = f"{put_calls(files)}\ncd /; entered=" if files else ""
    switches = f"{settle_calls(files)}\ncd /" if files else ""
    parts = [guard(), text("enter.sh"), text("put.sh"), before, calls, between, switches, after]
    return StringCommand("\n".join(part for part in parts if part), _stdin=framed(files))


def show_differences(files: Sequence[TextFile]) -> None:
    """Show what would change in files that hold no secret, where pyinfra was started with `--diff`.

    Args:
        files: paths and their new contents.
    """
    host = context.host
    executing_what_was_shown = host.state.is_executing and host.state.check_for_changes
    if not host.state.config.DIFF or executing_what_was_shown:
        return
    for file in files:
        if "-----BEGIN" in file.content:
            # A certificate's base64 holds the public key, and so does the file of its private key.
            host.log(f"  {file.path}: other certificates, which are not shown")
            continue
        before = host.get_fact(Texts, path=file.path)
        for line in difflib.unified_diff(
            before, file.content.splitlines(), file.path, file.path, lineterm="", n=1
        ):
            host.log(f"  {line}")
