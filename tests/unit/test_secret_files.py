"""What is promised about a secret that the controller keeps."""

import pytest

from etcd_steward.secret_files import keep_secret, read_secret


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "pki" / "etcd" / "k3s-token"
    assert read_secret(path) is None
    made = keep_secret(path)
    assert len(made) == 64
    assert [keep_secret(path), read_secret(path)] == [made, made]
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"
    assert (tmp_path / "pki" / ".gitignore").read_text() == "*\n"
    assert sorted(one.name for one in path.parent.iterdir()) == [".gitignore", "k3s-token"]


def test_two_clusters_have_two_secrets(tmp_path):
    assert keep_secret(tmp_path / "a" / "token") != keep_secret(tmp_path / "b" / "token")


@pytest.mark.parametrize(
    ("text", "mode", "why"), [("x" * 20, 0o640, "with mode 640, wanted 600"), ("\n", 0o600, "empty")]
)
def test_a_secret_that_others_may_have_read_or_that_is_gone_is_not_used(tmp_path, text, mode, why):
    (tmp_path / "token").write_text(text)
    (tmp_path / "token").chmod(mode)
    with pytest.raises(ValueError, match=why):
        read_secret(tmp_path / "token")
