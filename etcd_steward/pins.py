"""For maintainers: compares the digests that this package carries with upstream's own sums; `scripts/pins` runs it."""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from etcd_steward import digests, releases, versions
from etcd_steward.downloads import LARGEST_SUMS, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etcd_steward.versions import Version

__all__ = ["DIFFERS", "SAME", "TABLE", "UNREACHABLE", "main"]

# Exit statuses; 2 is argparse's own, for wrong arguments.
SAME, DIFFERS, UNREACHABLE = 0, 1, 3

TABLE = Path(__file__).with_name("data") / "etcd-sha256.json"
SILENCE_S = 30  # a server that sends nothing for so long is given up
GAP = 2  # a patch release may have been left out; so many in a row end a line


class _UnreachableError(Exception):
    """Upstream's sums cannot be had, which proves nothing."""


class _DifferentError(Exception):
    """Upstream's sums are not what is carried."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what is carried with upstream's SHA256SUMS, and stop at the first difference.

    Args:
        arguments: those of the command line, or None for this process's own.

    Returns:
        0 where all agree, 1 where one differs, 3 where upstream does not answer.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/pins",
        description="Compare the digests that this package carries with upstream's SHA256SUMS.",
        epilog=f"exit status: {SAME} all agree, {DIFFERS} one differs, {UNREACHABLE} upstream does not answer",
    )
    parser.add_argument(
        "--from", dest="source", default=releases.UPSTREAM, help="where releases are, in GitHub's layout"
    )
    parser.add_argument("--table", type=Path, default=TABLE, help="the table that is compared")
    parser.add_argument("--write", action="store_true", help="add releases that the table lacks to it")
    given = parser.parse_args(arguments)
    try:
        document = json.loads(given.table.read_text(encoding="utf-8"))
        new = _compare(document["sha256"], lambda version: _sums(given.source, version))
    except _UnreachableError as error:
        return _end(
            UNREACHABLE, f"found {error}, wanted upstream's sums; next: run it where they can be reached"
        )
    except _DifferentError as error:
        return _end(
            DIFFERS, f"found {error}; next: trust neither before it is known why, and install nothing of it"
        )
    for version, found in new.items():
        _say(f"{version}: not carried: {', '.join(sorted(found))}")
    if given.write and new:
        for version, found in new.items():
            document["sha256"].setdefault(version, {}).update(found)
        ordered = sorted(document["sha256"], key=versions.parse, reverse=True)
        document["sha256"] = {
            version: dict(sorted(document["sha256"][version].items())) for version in ordered
        }
        given.table.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return _end(SAME, f"{len(document['sha256'])} releases compared with {given.source}: no difference")


def _compare(
    table: dict[str, dict[str, str]], sums: Callable[[Version], str | None]
) -> dict[str, dict[str, str]]:
    """Compare every release of a table, and find those of maintained lines that it lacks."""
    carried = sorted(map(versions.parse, table), reverse=True)
    new = {}
    for version in carried:
        theirs = sums(version)
        if theirs is None:
            raise _DifferentError(f"no sums of {version}, which is carried, wanted them")
        for arch, digest in table[str(version)].items():
            found = listed(theirs, releases.archive_name(version, arch))
            if found != digest:
                raise _DifferentError(
                    f"{found or 'nothing'} as upstream's sum of {releases.archive_name(version, arch)}, wanted {digest} as carried"
                )
        more = _of_main(theirs, version).keys() - table[str(version)].keys()
        if more:
            new[str(version)] = {arch: _of_main(theirs, version)[arch] for arch in more}
        _say(f"{version}: {', '.join(table[str(version)])}")
    for line in versions.MAINTAINED:
        new |= _beyond(line, carried, sums)
    return new


def _beyond(
    line: str, carried: list[Version], sums: Callable[[Version], str | None]
) -> dict[str, dict[str, str]]:
    """Find the releases of a line that came after the newest that is carried."""
    newest = max((one.patch for one in carried if one.minor_line == line), default=-1)
    found, missing = {}, 0
    while missing < GAP:
        newest += 1
        version = versions.parse(f"{line}.{newest}")
        theirs = sums(version)
        missing = missing + 1 if theirs is None else 0
        if theirs is not None:
            found[str(version)] = _of_main(theirs, version)
    return found


def _of_main(sums: str, version: Version) -> dict[str, str]:
    names = {arch: releases.archive_name(version, arch) for arch in digests.MAIN_ARCHES}
    return {arch: digest for arch, name in names.items() if (digest := listed(sums, name)) is not None}


def _sums(source: str, version: Version) -> str | None:
    url = f"{source.rstrip('/')}/v{version}/SHA256SUMS"
    if not url.startswith(("https://", "http://")):
        raise _UnreachableError(f"{url}, which is no http or https address")
    request = urllib.request.Request(url, headers={"User-Agent": "etcd-steward"})  # noqa: S310 - judged above
    try:
        with urllib.request.urlopen(request, timeout=SILENCE_S) as answer:  # noqa: S310 - the same
            text: str = answer.read(LARGEST_SUMS).decode("utf-8", "replace")
            return text
    except urllib.error.HTTPError as error:
        if error.code == http.client.NOT_FOUND:
            return None
        raise _UnreachableError(f"{error.code} {error.reason} at {url}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _UnreachableError(
            f"no answer from {url} ({getattr(error, 'reason', None) or error})"
        ) from error


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _end(status: int, text: str) -> int:
    if status:
        sys.stderr.write(f"{text}\n")
    else:
        _say(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
