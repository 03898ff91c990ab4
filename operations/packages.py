"""Packages from a distribution and from repositories of others: the same files, the same keys and the same way out for every verb."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyinfra.api import FunctionCommand, StringCommand
from pyinfra.operations import apt, dnf

from etcd_steward.operations.files import writing
from etcd_steward.platforms import REPOSITORY_FILES
from etcd_steward.repositories import definition, files_of, key_url, needed
from etcd_steward.shell import KEPT, script

if TYPE_CHECKING:
    from etcd_steward.repositories import Repository

__all__ = ["INSTALL", "installing"]

Commands = Generator[StringCommand | FunctionCommand, None, None]

INSTALL: Mapping[str, Any] = {"apt": apt.packages, "dnf": dnf.packages}
_MORE: Mapping[str, dict[str, Any]] = {
    "apt": {"update": True},
    # dnf: the repository's definition keeps them from being upgraded with the system.
    "dnf": {"extra_install_args": "--disableexcludes=kubernetes"},
}


def installing(
    manager: str, repositories: Iterable[Repository], packages: Sequence[str], **more: Any
) -> Commands:
    """Install packages, with the repositories that any of them comes from; an operation yields from this.

    The host itself fetches all of it, keys too: it has to reach the repositories anyway.

    Args:
        manager: the package manager, one that `INSTALL` knows.
        repositories: those that packages may come from.
        packages: names of packages, with a release or without.
        more: further arguments of pyinfra's operation.
    """
    wanted = needed(repositories, packages)
    cures = "; or ".join(dict.fromkeys(one.cure for one in wanted))
    table = REPOSITORY_FILES[manager]
    if table.key and wanted:
        yield from _told(INSTALL[manager]._inner(packages=["ca-certificates"], update=True), manager, "")
    for repository in wanted:
        url = key_url(repository, manager)
        key = files_of(repository, manager).key
        fetch = script("apt-key.sh", url=url, key=key, cure=repository.cure) + "" if url else ""
        file = definition(repository, manager)
        kept = script("kept.sh", candidates=[file.path], aside=KEPT) + ""
        yield writing([file], before=f"{fetch}\n{kept}")
    yield from _told(
        INSTALL[manager]._inner(packages=list(packages), **_MORE[manager], **more), manager, cures
    )
    held = sorted({known for one in wanted for known in one.brings for name in packages if _is(name, known)})
    if table.hold and held:
        # An upgrade of the system must not bring another minor version.
        yield StringCommand(table.hold.format(names=" ".join(held)))


def _is(package: str, known: str) -> bool:
    return package == known or package.startswith((f"{known}=", f"{known}-1."))


def _told(commands: Iterable[str | StringCommand], manager: str, cures: str) -> Commands:
    """Let commands end with a sentence where they fail."""
    found = f"found that {manager} cannot install this (see what it says above), wanted it to reach its repositories"
    cure = cures or f"mend what {manager} says, then run again"
    for command in commands:
        text = command.get_raw_value() if isinstance(command, StringCommand) else str(command)
        yield StringCommand(f"{text} || {{ echo {shlex.quote(f'{found}; next: {cure}')} >&2; exit 1; }}")
