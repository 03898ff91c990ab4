"""Releases of etcd: each in a folder of its own, with links that say which one is used."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand, operation

from etcd_steward import releases, versions
from etcd_steward.facts.releases import Releases
from etcd_steward.failing import failing
from etcd_steward.uploads import obtained, uploaded

if TYPE_CHECKING:
    from etcd_steward.releases import Archive

__all__ = ["staged"]


@operation()
def staged(
    version: str,
    obtain: Callable[[], Archive],
    prefix: str = "/opt/etcd",
    arch: str = "amd64",
    missing: bool | None = None,
) -> Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]:
    """
    Put a release beside the others, without using it yet.

    The archive is verified on the controller, and once more on the host, where it is unpacked in a folder that only
    root can enter. An old release is never touched.

    + version: the release, such as 3.5.33
    + obtain: returns the verified archive on the controller; called when the operation is executed
    + prefix: folder in which every release has one of its own
    + arch: the release's architecture
    + missing: whether it has to be put there, where the caller knows; otherwise the host is asked

    **Example:**

    .. code:: python

        from functools import partial
        from pathlib import Path
        from etcd_steward import releases, versions
        from etcd_steward.operations import release

        release.staged(
            name="Stage etcd",
            version="3.5.33",
            obtain=partial(releases.obtain, versions.parse("3.5.33"), "amd64", cache=Path("~/.cache/etcd").expanduser()),
        )
    """
    host = context.host
    if missing is None:
        missing = version not in host.get_fact(Releases, prefix=prefix)
    if host.state.is_executing:
        # Of verbs for clients this is the first operation.
        problem = obtained(host.state)
        if problem:
            yield failing(problem)
            return
    if not missing:
        host.noop(f"etcd {version} is already in {prefix}")
        return
    if not host.state.is_executing:
        yield StringCommand("# stage etcd", version)
        return
    name = releases.archive_name(versions.parse(version), arch)
    yield from uploaded(obtain, "unpack.sh", prefix, name, "an archive", version=version, arch=arch)
