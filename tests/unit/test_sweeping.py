"""Folders of ended runs: only what is plainly ours is removed, whatever names anybody has made beside it. Run for real."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etcd_steward import backing_up, sweeping
from etcd_steward.leftovers import FOLDER, is_nobodys
from etcd_steward.shell import script

DAY = 24 * 3600
SHELLS = [
    shell
    for shell in (["dash"], ["sh"], ["busybox", "ash"])
    if any(os.access(f"{folder}/{shell[0]}", os.X_OK) for folder in os.environ["PATH"].split(":"))
]
STRANGER = 65534
NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=40)


def shell(words, command, **more):
    return subprocess.run([*words, "-c", command + ""], capture_output=True, text=True, check=False, **more)


@settings(max_examples=200)
@given(NAMES)
@example(f"\n{DAY * 2} /etc")
@example("aB3dE6\nleft 99999999 /root")
@example("aB3dE6\n")
@example("../etc")
def test_no_name_that_somebody_made_up_is_ever_taken_for_one_of_ours(name):
    ours = len(name) == 6 and all(letter.isascii() and (letter.isalnum() or letter == "_") for letter in name)
    assert is_nobodys(f"{FOLDER}{name}", 10 * DAY) == ours
    assert not is_nobodys(f"/var/lib/etcd-snapshots/.drill.{name}/..", 10 * DAY)
    assert not is_nobodys(f"/{name}", 10 * DAY)


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_only_folders_of_the_own_account_are_removed_and_no_link_is_followed(tmp_path, words):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("mine")
    own, strange, link = (tmp_path / f"etcd-steward.{name}" for name in ("aaaaaa", "bbbbbb", "cccccc"))
    own.mkdir()
    (own / "link").symlink_to(kept)
    strange.mkdir()
    os.chown(strange, STRANGER, STRANGER)
    link.symlink_to(kept)
    done = shell(
        words, script("sweep.sh", abandoned=[str(one) for one in (own, strange, link, f"{own}/../kept")])
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not own.exists()
    assert (strange.is_dir(), link.is_symlink(), (kept / "file").read_text()) == (True, True, "mine")


def on_this_machine(tmp_path, monkeypatch):
    """Let `login_folder` and `download` work here, with the temporary folder of a test in place of the host's."""
    place = f"{tmp_path}/etcd-steward."
    asked = []

    def as_login(_host, command):
        asked.append(command)
        done = shell(["sh"], command.replace(FOLDER, place))
        return done.returncode == 0, done.stdout.splitlines()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeping, "as_login", as_login)
    monkeypatch.setattr(backing_up, "as_login", as_login)
    for module in (sweeping, backing_up):
        monkeypatch.setattr(
            module, "ask", lambda _run, host, question, *_more: as_login(host, question + "")[1]
        )
    monkeypatch.setattr(backing_up, "FOLDER", place)
    monkeypatch.setattr(backing_up, "new_folder", lambda: f"{place}XXXXXX")
    monkeypatch.setattr(
        backing_up, "is_nobodys", lambda path, age: is_nobodys(path.replace(place, FOLDER), age)
    )
    return place, asked


def test_d1_a_line_break_in_a_name_removes_nothing_of_the_logins_folder(tmp_path, monkeypatch):
    place, _ = on_this_machine(tmp_path, monkeypatch)
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("mine")
    old = f"{place}aB3dE6"
    # What a shell prints of this name begins a line with a word of the answer and a path below the login's home.
    evil = f"{place}y\nleft 99999999 home"
    for name in (old, evil):
        Path(name).mkdir()
        os.utime(name, (0, 0))
    with backing_up.login_folder(SimpleNamespace(), SimpleNamespace(name="n1")) as folder:
        assert Path(folder).is_dir()
    assert not Path(folder).exists()
    assert not Path(old).exists(), "what is plainly left by a run is removed"
    assert (home / "precious").read_text() == "mine"
    assert Path(evil).is_dir()


def test_root_lays_a_copy_only_where_nobody_else_can_put_anything(tmp_path, monkeypatch):
    on_this_machine(tmp_path, monkeypatch)
    source = tmp_path / "snapshot.db"
    source.write_text("every secret")
    seen = []

    def get_file(path, _target):
        copy = Path(path)
        seen.append(
            (copy.parent.stat().st_uid, copy.parent.stat().st_mode & 0o777, copy.stat().st_mode & 0o777)
        )
        assert copy.read_text() == "every secret"
        return True

    host = SimpleNamespace(name="n1", get_file=get_file)
    backing_up.download(SimpleNamespace(), host, str(source), None)
    assert seen == [(os.getuid(), 0o711, 0o400)]
    assert not list(tmp_path.glob("etcd-steward.*"))
