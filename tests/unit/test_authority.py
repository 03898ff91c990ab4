"""The authorities' folder on the controller, and what users bring: never half, never readable by others."""

from __future__ import annotations

import fcntl
import os

import pytest

from etcd_steward import authority as authority_module
from etcd_steward.authority import PASSPHRASE, PkiError, Store
from etcd_steward.pki import LeafSpec, issue, read_certificate
from tests.unit.authorities import FILES, NOW, create, fingerprints, mode

# The folder


def test_where_nothing_is_there_is_no_authority_and_looking_makes_nothing(store, tmp_path):
    assert store.load() is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_created_is_loaded_and_can_sign(store):
    made = create(store)
    loaded = store.load()
    assert fingerprints(loaded) == fingerprints(made)
    assert loaded.client.fingerprint != loaded.peer.fingerprint
    assert loaded.client.certificate.subject.rfc4514_string() == "CN=etcd client CA of pi,O=huatai"
    assert loaded.peer.certificate.subject.rfc4514_string() == "CN=etcd peer CA of pi,O=huatai"
    for role in ("server", "peer", "client", "health"):
        spec = LeafSpec(role, "m1", days=30)
        text = issue(loaded.for_role(role), spec, now=NOW).certificate_pem
        signer = made.peer if role == "peer" else made.client
        assert read_certificate(text).issued_by([made.client, made.peer]) is signer


def test_folder_and_keys_are_for_their_owner_only_whatever_the_umask(store, folder):
    before = os.umask(0)
    try:
        create(store)
    finally:
        os.umask(before)
    assert mode(folder) == mode(folder.parent) == 0o700
    for name in FILES:
        assert mode(folder / name) == 0o600


def test_a_key_is_never_readable_by_others_not_even_while_it_is_written(store, monkeypatch):
    opened = []
    real = os.open

    def watched(path, flags, *how, **more):
        if "key.pem" in str(path):
            opened.append((flags & os.O_EXCL, how))
        return real(path, flags, *how, **more)

    monkeypatch.setattr(authority_module.os, "open", watched)
    create(store)
    assert opened == [(os.O_EXCL, (0o600,))] * 2


def test_an_open_folder_is_closed_before_keys_are_written(store, folder):
    folder.mkdir(parents=True, mode=0o755)
    create(store)
    assert mode(folder) == 0o700


def test_git_ignores_the_folder_and_the_parent_that_was_made(store, folder):
    create(store)
    assert (folder / ".gitignore").read_text() == (folder.parent / ".gitignore").read_text() == "*\n"


def test_a_parent_that_was_there_is_not_hidden_from_git(store, folder):
    folder.parent.mkdir()
    create(store)
    assert not (folder.parent / ".gitignore").exists()
    assert (folder / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_created_where_anything_is_there(store, folder, name):
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(PkiError, match=f"found {name}, wanted no authority yet; next: "):
        create(store)
    assert (folder / name).read_text() == "mine"
    assert sorted(path.name for path in folder.glob("*.pem")) == [name]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_told_by_name(store, folder, name):
    create(store)
    (folder / name).rename(folder / f"{name}.aside")
    with pytest.raises(
        PkiError, match=f" without {name}, wanted all or none; next: bring the missing files back"
    ):
        store.load()


def test_both_certificates_without_keys_serve_for_work_that_signs_nothing(store, folder):
    made = create(store)
    for name in ("ca-key.pem", "peer-ca-key.pem"):
        (folder / name).unlink()
    loaded = store.load()
    assert fingerprints(loaded) == fingerprints(made)
    assert not loaded.client.can_sign
    assert not loaded.peer.can_sign


def test_keys_without_certificates_are_not_taken_for_an_empty_folder(store, folder):
    create(store)
    for name in ("ca.pem", "peer-ca.pem"):
        (folder / name).unlink()
    with pytest.raises(PkiError, match=r"without ca.pem, peer-ca.pem"):
        store.load()


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / "pki").write_text("a file where a folder should be")
    with pytest.raises(PkiError, match=r"Not a directory, wanted a file or folder that can be used; next: "):
        Store(tmp_path / "pki" / "pi", environ={}).load()


def test_keys_that_were_mixed_up_are_refused(store, folder):
    create(store)
    one, other = (folder / name for name in ("ca-key.pem", "peer-ca-key.pem"))
    one.rename(folder / "swap")
    other.rename(one)
    (folder / "swap").rename(other)
    with pytest.raises(
        PkiError, match=r"ca-key.pem: found the key of another certificate, wanted that of .*ca.pem; next: "
    ):
        store.load()


def test_one_authority_copied_over_the_other_is_refused(store, folder):
    create(store)
    for name in ("ca.pem", "ca-key.pem"):
        (folder / f"peer-{name}").write_bytes((folder / name).read_bytes())
    with pytest.raises(PkiError, match="found one key behind the client and peer authorities"):
        store.load()


def test_a_second_run_neither_creates_nor_reads_meanwhile(store, folder):
    create(store)
    with (folder / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for act in (store.load, lambda: create(store)):
            with pytest.raises(
                PkiError, match=r"found another run at work here, wanted to be the only one; next: "
            ):
                act()
    assert store.load() is not None


def test_two_runs_may_read_at_once(store, folder):
    create(store)
    with (folder / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert store.load() is not None


@pytest.mark.parametrize("at", range(1, 10))
def test_a_creation_cut_short_by_the_disk_leaves_nothing_behind(store, folder, monkeypatch, at):
    calls = 0
    store.make_folder()

    def failing(real):
        def act(*args):
            nonlocal calls
            calls += 1
            if calls == at:
                raise OSError(28, "No space left on device", str(folder))
            return real(*args)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(authority_module.os, "fsync", failing(os.fsync))
        patch.setattr(type(folder), "rename", failing(type(folder).rename))
        with pytest.raises(PkiError, match=r"found No space left on device, wanted .*; next: "):
            create(store)
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", ".lock"]
    assert store.load() is None
    assert create(store)


# The passphrase


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    # Their number is tested in test_locked_keys.py; here it would only cost time.
    monkeypatch.setattr("etcd_steward.locked_keys.ROUNDS", 2048)


def test_with_a_passphrase_the_keys_on_disk_are_encrypted(folder):
    locked = Store(folder, environ={PASSPHRASE: "correct horse"})
    made = create(locked)
    for name in ("ca-key.pem", "peer-ca-key.pem"):
        assert (folder / name).read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert fingerprints(locked.load()) == fingerprints(made)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, f"{PASSPHRASE} not set, wanted its passphrase; next: set the environment variable"),
        (
            {PASSPHRASE: ""},
            f"{PASSPHRASE} not set, wanted its passphrase; next: set the environment variable",
        ),
        (
            {PASSPHRASE: "battery staple"},
            f"the passphrase in {PASSPHRASE} does not open it, .*; next: correct",
        ),
    ],
)
def test_a_missing_or_wrong_passphrase_is_told_and_not_repeated(folder, environ, sentence):
    create(Store(folder, environ={PASSPHRASE: "correct horse"}))
    with pytest.raises(PkiError, match=sentence) as refusal:
        Store(folder, environ=environ).load()
    assert "battery" not in str(refusal.value)
    assert "horse" not in str(refusal.value)


def test_work_that_signs_nothing_needs_no_passphrase(folder):
    made = create(Store(folder, environ={PASSPHRASE: "correct horse"}))
    loaded = Store(folder, environ={}).load(keys=False)
    assert fingerprints(loaded) == fingerprints(made)
    assert not loaded.client.can_sign


def test_plain_keys_are_read_although_a_passphrase_is_set(store, folder):
    create(store)
    assert Store(folder, environ={PASSPHRASE: "correct horse"}).load().client.can_sign


def test_the_passphrase_is_looked_up_in_the_environment(folder, monkeypatch):
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    create(Store(folder))
    assert "ENCRYPTED" in (folder / "ca-key.pem").read_text()
    assert Store(folder).load().client.can_sign
