"""Files of others that decide next to ours: what a look told of them, and what in them contradicts what we write.

A look (`templates/neighbours.sh`) tells names of keys, never a value. A file that could not be read may say anything: it is
told, and never taken for one that says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Neighbour", "k3s_option", "keys_of_flags", "named", "overriding", "read", "sorted_before"]

# So many keys are named in one sentence.
_NAMED = 6
_LONGEST = 200


@dataclass(frozen=True)
class Neighbour:
    """A file of somebody else's.

    Args:
        path: where it lies.
        keys: the keys in it, as the program that reads it spells them.
        known: whether these are all; False where it could not be read, or not as what it should be.
    """

    path: str
    keys: tuple[str, ...] = ()
    known: bool = True


def read(lines: Iterable[str]) -> tuple[Neighbour, ...]:
    """Read what `beside` in `templates/neighbours.sh` told.

    Args:
        lines: what stands behind the word `beside`.

    Returns:
        The files, in the order in which they were told. A line that is none of these stands for a file that is not known.
    """
    keys: dict[str, list[str]] = {}
    unknown: set[str] = set()
    for line in lines:
        word, _, rest = line.partition(" ")
        key, _, path = rest.partition(" ") if word == "key" else ("", "", rest)
        path = path[:_LONGEST] or "a file"
        found = keys.setdefault(path, [])
        if word == "key" and key:
            found.append(key[:_LONGEST])
        elif word != "file":
            unknown.add(path)
    return tuple(Neighbour(path, tuple(found), path not in unknown) for path, found in keys.items())


def overriding(
    neighbours: Iterable[Neighbour], ours: Collection[str], spelled: Callable[[str], str] = str
) -> list[tuple[Neighbour, tuple[str, ...]]]:
    """Find keys that a program takes from elsewhere though we give them.

    Args:
        neighbours: files that the program reads as well.
        ours: the keys that we give.
        spelled: spells a key that stands in such a file as ours are spelled.

    Returns:
        Each file that has some, with these as they stand there.
    """
    found = []
    for one in neighbours:
        keys = tuple(key for key in one.keys if spelled(key) in ours)
        if keys:
            found.append((one, keys))
    return found


def k3s_option(key: str) -> str:
    """Spell a key of k3s as the long option it is: `token+` of a list that goes on, `t`, `--token`, `K3S_TOKEN`.

    Args:
        key: as it stands in a file.
    """
    if key.startswith("K3S_"):
        return _ENVIRONMENT.get(key, key.removeprefix("K3S_").lower().replace("_", "-"))
    plain = key.removeprefix("--").removesuffix("+")
    return _SHORT.get(plain, plain)


# k3s, pkg/cli/cmds: where a variable or a short option is called otherwise than the long one.
_ENVIRONMENT = {"K3S_URL": "server", "K3S_CONFIG_FILE": "config", "K3S_CLUSTER_SECRET": "token"}
_SHORT = {
    "t": "token",
    "s": "server",
    "d": "data-dir",
    "c": "config",
    "i": "node-ip",
    "cluster-secret": "token",
}


def keys_of_flags(command: str) -> set[str]:
    """Name the keys of `daemon.json` that a command of dockerd gives as flags: it starts with none that stands in both.

    Args:
        command: what docker is started with.
    """
    words = [word.partition("=")[0] for word in command.split()]
    flags = {word.removeprefix("--") for word in words if re.fullmatch(r"--[a-z][a-z0-9-]*", word)}
    lists = {"host": "hosts", "label": "labels", "insecure-registry": "insecure-registries"}
    lists |= {"registry-mirror": "registry-mirrors", "storage-opt": "storage-opts", "exec-opt": "exec-opts"}
    lists |= {
        "log-opt": "log-opts",
        "default-ulimit": "default-ulimits",
        "authorization-plugin": "authorization-plugins",
    }
    short = {
        "-H": "hosts",
        "-b": "bridge",
        "-s": "storage-driver",
        "-D": "debug",
        "-G": "group",
        "-l": "log-level",
    }
    given = {short[word[:2]] for word in words if word[:2] in short and not word.startswith("--")}
    return {lists.get(flag, flag) for flag in flags} | given


def sorted_before(paths: Iterable[str], ours: str) -> list[str]:
    """Name files that come before one of ours where the first by name counts.

    Args:
        paths: files of the same folder.
        ours: the path of ours.
    """
    own = ours.rpartition("/")[2]
    return sorted(path for path in paths if path.rpartition("/")[2] < own)


def named(keys: Sequence[str]) -> str:
    """Name some keys, and how many more there are.

    Args:
        keys: the keys.
    """
    more = len(keys) - _NAMED
    return ", ".join(keys[:_NAMED]) + (f" and {more} more" if more > 0 else "")
