"""Nothing is stopped before all that will be written is on the disk, and what was stopped in vain is started again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from etcd_steward.commands import _started_again
from etcd_steward.operations.files import writing
from etcd_steward.shell import Content
from etcd_steward.templating import text

SHELLS = [["sh"], *([["busybox", "ash"]] if shutil.which("busybox") else [])]


def owner() -> str:
    return f"{os.getuid()}:{os.getgid()}"


def change(shell: list[str], place: Path, files: list[Content], **tools: str) -> tuple[int, str, list[str]]:
    """Run the command that a member's turn runs, over a service that only notes what it is told.

    Args:
        shell: which shell.
        place: where tools and notes lie.
        files: what is written.
        tools: programs that stand before the host's own.

    Returns:
        The exit status, what was said, and what the service was told.
    """
    noted = place / "noted"
    command = writing(
        files,
        after=f"trap - EXIT\necho start >>{noted}",
        between=f"{_started_again(f'echo start >>{noted}')}\necho stop >>{noted}",
    )
    script = "".join(str(bit) for bit in command.bits).replace(text("guard.sh"), "")
    bin_dir = place / "bin"
    bin_dir.mkdir(exist_ok=True)
    for name, body in tools.items():
        (bin_dir / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin_dir / name).chmod(0o755)
    done = subprocess.run(
        [*shell, "-c", script],
        input=command.connector_arguments["_stdin"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{bin_dir}:{os.environ['PATH']}"},
    )
    return done.returncode, done.stderr, noted.read_text().split() if noted.exists() else []


def contents(folder: Path, what: str) -> list[Content]:
    """Make a key with its certificate, a configuration, and a file in a folder of its own."""
    return [
        Content(str(folder / "pki" / "server-key.pem"), f"{what} key\n", "600", owner(), with_next=True),
        Content(str(folder / "pki" / "server.pem"), f"{what} certificate\n", "644", owner()),
        Content(str(folder / "etc" / "conf.yml"), f"{what} configuration\n", "644", owner()),
        Content(str(folder / "unit" / "etcd.service"), f"{what} unit\n" * 40, "644", owner()),
    ]


def lying(files: list[Content]) -> list[str]:
    return [Path(file.path).read_text() if Path(file.path).exists() else "" for file in files]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
@pytest.mark.parametrize(
    "tools",
    [
        {"dd": 'case $2 in *etcd.service) echo "dd: No space left on device" >&2; exit 1 ;; esac'},
        {"chown": 'case $* in *conf.yml*) echo "chown: Read-only file system" >&2; exit 1 ;; esac'},
        {"wc": "echo 1"},
    ],
    ids=["full", "read-only", "written short without a word"],
)
def test_d8_a_disk_that_cannot_be_written_is_found_out_before_the_member_is_stopped(
    tmp_path: Path, shell: list[str], tools: dict[str, str]
) -> None:
    before, after = contents(tmp_path, "old"), contents(tmp_path, "new")
    assert change(shell, tmp_path, before)[0] == 0
    (tmp_path / "noted").unlink()
    status, said, told = change(shell, tmp_path, after, **tools)
    assert (status != 0, told) == (True, [])
    assert said.strip()
    assert lying(after) == [file.content for file in before]
    # And the same run afterwards has nothing in its way.
    assert change(shell, tmp_path, after, **dict.fromkeys(tools, 'PATH=${PATH#*:} exec "${0##*/}" "$@"'))[
        ::2
    ] == (
        0,
        ["stop", "start"],
    )
    assert lying(after) == [file.content for file in after]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[-1])
@given(broken=st.integers(1, 4))
@effort(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_d8_whatever_fails_after_the_stop_the_member_is_started_again(
    tmp_path_factory: pytest.TempPathFactory, shell: list[str], broken: int
) -> None:
    place = tmp_path_factory.mktemp("host")
    after = contents(place, "new")
    count = f"n=$(($(cat {place}/n 2>/dev/null || echo 0) + 1)); echo $n >{place}/n; [ $n != {broken} ] || exit 1\n"
    status, said, told = change(shell, place, after, mv=f'{count}PATH=${{PATH#*:}} exec mv "$@"')
    # There are three renamings: both of a pair are one.
    assert (status == 0) == (broken == 4)
    assert told == ["stop", "start"]
    assert ("started again" in said) == (status != 0)


def test_d8_all_is_on_the_disk_before_the_stop_and_nothing_is_renamed_before_it(tmp_path: Path) -> None:
    command = writing(contents(tmp_path, "new"), "first", "last", "the stop")
    lines = "".join(str(bit) for bit in command.bits).splitlines()
    words = [
        line.split(" ")[0]
        for line in lines
        if line.startswith(("put /", "put_both /", "settle", "the stop", "first", "last"))
        and "()" not in line
    ]
    order = ["first", "put_both", "put", "put", "the", "settle_both", "settle", "settle", "last"]
    assert words == order
