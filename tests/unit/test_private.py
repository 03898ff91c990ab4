"""Folders of secrets on the controller: whatever was there before, they end private and out of git."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from etcd_steward import private
from etcd_steward.authority import Store
from etcd_steward.certificates import PkiError
from etcd_steward.private import NotPrivateError, private_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@given(
    before=st.sampled_from(["nothing", "a parent", "the folder"]),
    rights=st.integers(0o700, 0o777),
    ignored=st.sampled_from([None, "", "*.tmp", "*.tmp\n", "*", "*\n", "own\n*\n"]),
)
@effort(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_d17_a_folder_of_secrets_is_private_and_out_of_git_whatever_was_there_before(
    tmp_path_factory: pytest.TempPathFactory, before: str, rights: int, ignored: str | None
) -> None:
    repository = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    folder = repository / "backups" / "pi"
    if before != "nothing":
        folder.parent.mkdir()
    if before == "the folder":
        folder.mkdir()
        folder.chmod(rights)
        if ignored is not None:
            (folder / ".gitignore").write_text(ignored)
    private_folder(folder)
    private_folder(folder)
    (folder / "snapshot.db").write_text("secret")
    assert mode(folder) == 0o700
    told = subprocess.run(
        ["git", "-C", str(repository), "add", "--dry-run", "."], capture_output=True, text=True, check=True
    )
    assert told.stdout == ""
    kept = (folder / ".gitignore").read_text().splitlines()
    if before == "the folder" and ignored:
        assert ignored.splitlines()[0] in kept
    assert {path.name for path in folder.iterdir()} == {".gitignore", "snapshot.db"}


def test_d17_half_a_file_is_never_left_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "backups"
    folder.mkdir()
    monkeypatch.setattr(private.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        private_folder(folder)
    assert list(folder.iterdir()) == []
    monkeypatch.undo()
    private_folder(folder)
    assert (folder / ".gitignore").read_text() == "*\n"


def test_d17_a_folder_of_somebody_else_that_others_enter_is_told_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pki"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setattr(private.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotPrivateError, match="found mode 755"):
        private_folder(folder)
    with pytest.raises(PkiError, match="found mode 755"):
        Store(folder).make_folder()
    # One that nobody else enters may belong to whom it will, as in a container.
    folder.chmod(0o700)
    private_folder(folder)
