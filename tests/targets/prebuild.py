"""What chosen tests need is built while others run: images side by side with programs, at low priority.

A test that comes before its programs waits for them (`common.locked`); one that needs what was not foreseen here has it
built then. So this decides how long a run takes, and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import dis
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from . import bases, images, mirror, programs
from .common import HERE, CommandError, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What these name is for everybody, and no test's wish.
NOT_READ = {HERE / f"{name}.py" for name in ("bases", "common", "images", "mirror", "prebuild", "programs")}
ENDING_SECONDS = 20
ENDED = threading.Event()
ARM = {name for name, family in bases.FAMILIES.items() if family.architecture == "arm64"}


@dataclass
class Needs:
    """What tests need, in the order in which they do.

    Args:
        families: of images.
        releases: of etcd, each as version and architecture.
        programs: of modules, each as module and program.
    """

    families: list[str] = field(default_factory=list)
    releases: list[tuple[str, str]] = field(default_factory=list)
    programs: list[tuple[str, str]] = field(default_factory=list)

    def of(self, words: set[str], *, etcd: bool) -> None:
        """Add what a test needs that names these words.

        Args:
            words: strings of the test and of what it uses.
            etcd: whether it runs etcd, then of mirror.DEFAULT where it names no other.
        """
        families = [name for name in bases.FAMILIES if name in words]
        versions = [version for version in mirror.VERSIONS if version in words]
        versions = versions or [mirror.DEFAULT] * etcd
        architectures = ["amd64", *(["arm64"] if ARM & words else [])]
        modules = [name for name in programs.names() if name in words and name not in mirror.MODULES.values()]
        wanted = [(name, program) for name in modules for program in programs.module(name).programs]
        for known, found in (
            (self.families, families),
            (self.releases, [(version, arch) for arch in architectures for version in versions]),
            (self.programs, [(name, program) for name, program in wanted if program in words]),
        ):
            known.extend(one for one in found if one not in known)  # type: ignore[attr-defined,operator]


def words(function: Any, constants: Iterable[Any] = ()) -> set[str]:
    """Read the strings that a function of the tests names, it and what it calls of the tests.

    Args:
        function: a test or a fixture.
        constants: further values to read, such as a test's parameters.

    Returns:
        The strings.
    """
    found = {word for constant in constants for word in _strings(constant)}
    seen: set[CodeType] = set()
    waiting = [function]
    while waiting:
        one = waiting.pop()
        one = getattr(one, "__wrapped__", one)
        if (
            not isinstance(one, FunctionType)
            or one.__code__ in seen
            or not _is_read(one.__code__.co_filename)
        ):
            continue
        for code in _codes(one.__code__):
            seen.add(code)
            found.update(word for constant in code.co_consts for word in _strings(constant))
            for value in _used(code, one.__globals__):
                waiting.append(value)
                found.update(_strings(value))
    return found


def _used(code: CodeType, known: dict[str, Any]) -> Iterator[Any]:
    """Give the globals that a code uses, and of modules of the tests those attributes that it does."""
    module = None
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            value = known.get(step.argval)
            module = value if isinstance(value, ModuleType) else None
            yield value
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            if module and _is_read(getattr(module, "__file__", None)):
                yield vars(module).get(step.argval)
            module = None


def _is_read(file: str | None) -> bool:
    return file is not None and HERE.parent in Path(file).parents and Path(file) not in NOT_READ


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _strings([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _strings(one)


@contextlib.contextmanager
def beside(needs: Needs) -> Iterator[None]:
    """Build in a process of its own, which ends with the block at the latest."""
    argv = ["nice", sys.executable, "-m", "tests.targets.prebuild", json.dumps(vars(needs))]
    process = subprocess.Popen(argv, cwd=programs.MODULES.parents[1], start_new_session=True)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def build(needs: Needs) -> None:
    """Build images and programs side by side; what fails is said, and fails again in the test that needs it."""

    def try_(what: Any, *arguments: Any, **options: Any) -> None:
        try:
            if not ENDED.is_set():
                what(*arguments, **options)
        except (CommandError, OSError, RuntimeError) as error:
            if not ENDED.is_set():
                say(f"not built beforehand: {error}")

    def build_programs() -> None:
        # Few tests run on another architecture, and many on the first release.
        for version, arch in sorted(needs.releases, key=lambda release: release[1] != "amd64"):
            try_(mirror.prepare, version, architectures=[arch])
        for name in dict.fromkeys(name for name, _ in needs.programs):
            try_(programs.build, name, *(program for module, program in needs.programs if module == name))

    with ThreadPoolExecutor(2) as pool:
        if needs.families:
            pool.submit(try_, images.build_all, needs.families)
        pool.submit(build_programs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.targets.prebuild", description=build.__doc__)
    parser.add_argument("needs", type=json.loads, help="the fields of Needs, as JSON")
    told = parser.parse_args().needs
    # With the end of a test run its builds end, and what is half done is removed.
    signal.signal(signal.SIGTERM, lambda *_: ENDED.set())
    build(Needs(**told))


if __name__ == "__main__":
    main()
