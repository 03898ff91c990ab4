"""An account and its group count wherever the host has them from: its own files, or anything else that it asks (NSS)."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from etcd_steward.facts.account import Account
from etcd_steward.shell import script
from etcd_steward.templating import text

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = [
    words for words in (["dash"], ["sh"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])
]
# Of a group that is in no file: libnss-extrausers, altfiles of an image, or SSSD.
GETENT = '#!/bin/sh\n[ "$1 $2" = "group apps" ] && echo "apps:x:3001:" || exit 2\n'
GROUPADD = "#!/bin/sh\necho \"groupadd: group '$3' already exists\" >&2\nexit 9\n"


def program(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    (folder / name).chmod(0o755)


def run(words: list[str], command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{folder}:{os.environ['PATH']}"
    return subprocess.run(
        [*words, "-c", command + ""], capture_output=True, text=True, check=False, env={"PATH": path}
    )


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_b12_a_group_that_is_in_no_file_is_used_and_not_made_again(tmp_path: Path, words: list[str]) -> None:
    program(tmp_path, "getent", GETENT)
    program(tmp_path, "groupadd", GROUPADD)
    made = run(
        words, script("groups.sh", "account.sh", user="root", group="apps", uid=None, gid=None), tmp_path
    )
    assert (made.returncode, made.stderr) == (0, "")
    asked = run(words, script("groups.sh", "account-there.sh", user="root", group="apps"), tmp_path)
    assert Account().process(asked.stdout.splitlines())


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_a_group_that_nobody_has_is_made(tmp_path: Path, words: list[str]) -> None:
    program(tmp_path, "getent", GETENT)
    program(tmp_path, "groupadd", '#!/bin/sh\necho "made $*"\n')
    command = script("groups.sh", "account.sh", user="root", group="other", uid=None, gid=7)
    assert run(words, command, tmp_path).stdout == "made --system --gid 7 other\n"
    asked = run(words, script("groups.sh", "account-there.sh", user="root", group="other"), tmp_path)
    assert not Account().process(asked.stdout.splitlines())


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_without_getent_the_file_tells(tmp_path: Path, words: list[str]) -> None:
    for tool in ("grep", "head"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    shell = [str(shutil.which(words[0])), *words[1:]]
    done = subprocess.run(
        [*shell, "-c", f"{text('groups.sh')}\ngroup_of root; group_of roo"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert (done.stdout.startswith("root:x:0:"), done.stdout.count("\n"), done.stderr) == (True, 1, "")


def test_no_fragment_reads_the_file_of_groups_past_it() -> None:
    """Everything that asks for a group does so in one place."""
    templates = {name: text(name) for name in ("probe.sh", "account.sh", "account-there.sh")}
    assert all("/etc/group" not in content and "group_of" in content for content in templates.values())
