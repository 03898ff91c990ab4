"""Programs that are one file: each release in a folder of its own, without using it yet."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from pyinfra import context
from pyinfra.api import FileUploadCommand, FunctionCommand, StringCommand, operation

from etcd_steward.facts.answer import Answer
from etcd_steward.shell import KEPT, Script
from etcd_steward.uploads import uploaded

if TYPE_CHECKING:
    from etcd_steward.downloads import Archive

__all__ = ["staged"]


@operation()
def staged(
    program: str,
    version: str,
    obtain: Callable[[], Archive],
    prefix: str,
    missing: bool | None = None,
    bundle: bool = False,
) -> Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]:
    """
    Put a program beside its other releases, as `<prefix>/<version>/<program>`.

    It is verified on the controller, and once more on the host, in a folder that only root can enter.

    + program: the file's name
    + version: its release
    + obtain: returns the verified file on the controller; called when the operation is executed
    + prefix: folder in which every release has one of its own
    + missing: whether it has to be put there, where the caller knows; otherwise the host is asked
    + bundle: it is an archive with an installer in it, which is run; only a note is kept in the folder

    **Example:**

    .. code:: python

        from functools import partial
        from pathlib import Path
        from etcd_steward import binaries
        from etcd_steward.operations import binary

        tool = binaries.Program("tool", "1.2.3", "amd64", URL, SUMS, ("the release", "the address", "a digest"))
        binary.staged(
            name="Stage the tool",
            program="tool",
            version="1.2.3",
            obtain=partial(binaries.obtain, tool, None, Path("~/.cache/tool")),
            prefix="/opt/tool",
        )
    """
    host = context.host
    if missing is None:
        mark = f"{prefix}/{version}/.{program}-sha256"
        missing = not host.get_fact(Answer, ask=Script("staged", f"[ ! -f {mark} ] || echo yes"))
    if not missing:
        host.noop(f"{program} {version} is already in {prefix}")
        return
    if not host.state.is_executing:
        yield StringCommand("# stage", program, version)
        return
    values: dict[str, str] = {"program": program, "version": version}
    if bundle:
        values |= {"etc": "/etc", "aside": KEPT}
    yield from uploaded(
        obtain, "bundle.sh" if bundle else "binary.sh", prefix, program, f"a {program}", **values
    )
