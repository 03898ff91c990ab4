"""Clusters for the tests: one kind is shared by all that leave it as it was, the other belongs to one test."""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.steward import Site
from tests.targets import hosts as targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NUMBERS = itertools.count(1)

# A container cannot exceed what it is granted; the service has to raise its limit from the first to the second.
FEW_FILES, MOST_FILES = 1024, 8192


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the folder that keeps verified archives for the whole session."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def fresh(
    docker_answers: None, mirror_url: str, cache: str, tmp_path: object
) -> Iterator[Callable[..., Site]]:
    """Give a function that boots hosts of their own for one test; nothing is deployed on them."""
    with ExitStack() as stack:

        def make(families: Sequence[str], connector: str = "docker", **more: Any) -> Site:
            return make_site(stack, families, connector, mirror_url, cache, tmp_path, more)

        yield make


class Kept:
    """Clusters that tests share, until a module is done with them: idle ones cost time too."""

    def __init__(self, make: Callable[..., Site]) -> None:
        self._make = make
        self._made: dict[object, tuple[Site, ExitStack]] = {}

    def __call__(self, families: Sequence[str], connector: str = "docker", **settings: Any) -> Site:
        """Give the converged cluster of these families, making it where there is none."""
        key = (tuple(families), connector, repr(settings))
        if key not in self._made:
            stack = ExitStack()
            self._made[key] = (self._make(stack, families, connector, settings), stack)
            self._made[key][0].etcd("-y").succeeded()
        return self._made[key][0]

    def release(self) -> None:
        """Remove all clusters."""
        for _, stack in self._made.values():
            stack.close()
        self._made.clear()


@pytest.fixture(scope="session")
def _kept(
    docker_answers: None, mirror_url: str, cache: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kept]:
    def make(stack: ExitStack, families: Sequence[str], connector: str, settings: dict[str, Any]) -> Site:
        folder = tmp_path_factory.mktemp("shared")
        return make_site(stack, families, connector, mirror_url, cache, folder, {"settings": settings})

    kept = Kept(make)
    yield kept
    kept.release()


@pytest.fixture
def shared(_kept: Kept) -> Callable[..., Site]:
    """Give a function that returns a converged cluster which tests share: leave it as it was found."""

    def give(families: Sequence[str], connector: str = "docker", **settings: Any) -> Site:
        targets.SEEN.update(families)
        site = _kept(families, connector, **settings)
        targets.USED.update(site.programs)
        return site

    return give


def make_site(
    stack: ExitStack,
    families: Sequence[str],
    connector: str,
    mirror_url: str,
    cache: str,
    folder: Any,
    more: dict[str, Any],
) -> Site:
    number = next(NUMBERS)
    lab = stack.enter_context(targets.Lab(f"e2e{number}-{os.getpid()}", ipv6=more.pop("ipv6", False)))
    settings = {"etcd_cache_dir": cache, **more.pop("settings", {})}
    # The one way in is what the connector's name says; doas exists on Alpine only.
    if connector == "doas":
        connector, settings = "ssh", {**settings, "_sudo": False, "_doas": True}
    more.setdefault("extra_args", ["--ulimit", f"nofile={FEW_FILES}:{MOST_FILES}"])
    hosts = lab.start({f"n{index}": family for index, family in enumerate(families, 1)}, **more)
    return Site(lab, hosts, mirror_url, folder / f"site{number}", connector, settings)
