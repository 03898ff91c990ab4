"""The authorities' folder on the controller, and what users bring: never half, never readable by others."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from etcd_steward import authority as authority_module
from etcd_steward.authority import PASSPHRASE, PkiError, Store, given, ready_made
from etcd_steward.pki import LeafSpec, Subject, create_authority, differences, issue, read_certificate

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
FILES = ["ca-key.pem", "ca.pem", "peer-ca-key.pem", "peer-ca.pem"]
PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pki" / "pi"


@pytest.fixture
def store(folder):
    return Store(folder, environ={})


def create(store):
    return store.create(Subject(organization="huatai"), 3650, NOW)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def key_text(authority, encryption=PLAIN):
    return authority.key.private_bytes(PEM, PKCS8, encryption).decode()


def fingerprints(authorities):
    return authorities.client.fingerprint, authorities.peer.fingerprint


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


# Brought authorities


class Brought:
    """Four files that a user brings; any can be replaced."""

    def __init__(self, folder):
        self.client = create_authority("client", subject=Subject(), days=90, now=NOW)
        self.peer = create_authority("peer", subject=Subject(), days=90, now=NOW)
        texts = (self.client.pem, key_text(self.client), self.peer.pem, key_text(self.peer))
        self.paths = [folder / name for name in ("ca.crt", "ca.key", "peer.crt", "peer.key")]
        for path, text in zip(self.paths, texts, strict=True):
            path.write_text(text)

    def read(self, *, now=NOW, environ=None):
        return given(*self.paths, now=now, environ=environ or {})


@pytest.fixture
def brought(tmp_path):
    return Brought(tmp_path)


def test_brought_authorities_are_taken(brought):
    found = brought.read()
    assert fingerprints(found) == (brought.client.fingerprint, brought.peer.fingerprint)
    assert found.client.can_sign
    assert found.peer.can_sign


def test_brought_certificates_may_come_without_keys(brought):
    brought.paths[1] = brought.paths[3] = None
    assert not brought.read().client.can_sign


def test_a_brought_key_may_be_encrypted(brought):
    locked = serialization.BestAvailableEncryption(b"correct horse")
    brought.paths[1].write_text(key_text(brought.client, locked))
    assert brought.read(environ={PASSPHRASE: "correct horse"}).client.can_sign
    with pytest.raises(PkiError, match=r"ca.key: found an encrypted key and ETCD_CA_PASSPHRASE not set"):
        brought.read()


def test_a_commented_certificate_with_non_ascii_text_is_taken(brought):
    brought.paths[0].write_text(f"Subject: O=华泰\n{brought.client.pem}", encoding="utf-8")
    assert brought.read().client.fingerprint == brought.client.fingerprint


def _leaf(brought):
    return issue(brought.client, LeafSpec("server", "m1", days=30), now=NOW).certificate_pem


def _self_signed(*extensions, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW - DAY, NOW + DAY)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(PEM).decode()


def _ca_without_key_cert_sign(brought):
    others = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    )
    refused = dict.fromkeys((*others, "key_cert_sign", "encipher_only", "decipher_only"), False)
    usage = x509.KeyUsage(crl_sign=True, **refused)
    return _self_signed(x509.BasicConstraints(ca=True, path_length=None), usage)


def test_an_old_authority_without_key_usage_is_taken(brought):
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    brought.paths[0].write_text(_self_signed(constraints, key=brought.client.key))
    assert brought.read().client.can_sign


@pytest.mark.parametrize(
    ("which", "content", "sentence"),
    [
        (0, _leaf, r"ca.crt: found a certificate that may not sign others, wanted .*; next: "),
        (
            2,
            _ca_without_key_cert_sign,
            r"peer.crt: found a certificate that may not sign others, wanted .*; next: ",
        ),
        (
            0,
            lambda b: _self_signed(),
            r"ca.crt: found a certificate that may not sign others, wanted .*; next: ",
        ),
        (0, lambda b: "", r"ca.crt: found no readable certificates, wanted the one that signs; next: "),
        (0, lambda b: b.client.pem + b.peer.pem, r"ca.crt: found 2 readable certificates, wanted the one"),
        (
            1,
            lambda b: key_text(b.peer),
            r"ca.key: found the key of another certificate, wanted that of .*ca.crt; next: ",
        ),
        (3, lambda b: key_text(b.client), r"peer.key: found the key of another certificate"),
        (1, lambda b: "nonsense", r"ca.key: found no readable key, wanted a PEM private key; next: "),
        (
            1,
            lambda b: x25519.X25519PrivateKey.generate().private_bytes(PEM, PKCS8, PLAIN).decode(),
            r"ca.key: found a key that etcd cannot use, wanted ECDSA, RSA or Ed25519; next: ",
        ),
    ],
)
def test_a_brought_file_that_does_not_fit_is_told(brought, which, content, sentence):
    brought.paths[which].write_text(content(brought))
    with pytest.raises(PkiError, match=sentence):
        brought.read()


def test_a_file_that_is_no_text_is_told(brought):
    brought.paths[0].write_bytes(brought.client.certificate.public_bytes(serialization.Encoding.DER))
    with pytest.raises(PkiError, match=r"ca.crt: found bytes that are not text, wanted PEM; next: "):
        brought.read()


@pytest.mark.parametrize("name", ["ca.crt", "peer.key"])
def test_a_file_that_is_not_there_is_told(brought, name):
    next(path for path in brought.paths if path.name == name).unlink()
    with pytest.raises(PkiError, match=f"{name}: found No such file or directory, wanted .*; next: "):
        brought.read()


@pytest.mark.parametrize("days", [-2, 90])
def test_an_authority_outside_its_dates_is_refused(brought, days):
    with pytest.raises(
        PkiError, match=r"ca.crt: found an authority valid from .*, wanted one valid on .*; next: "
    ):
        brought.read(now=NOW + days * DAY)


def test_one_authority_for_both_ports_is_refused_as_clients_could_be_peers(brought):
    brought.paths[2:] = brought.paths[:2]
    with pytest.raises(
        PkiError, match=r"found one key behind the client and peer authorities, wanted two, .*; next: "
    ):
        brought.read()


def test_no_refusal_shows_a_key(brought):
    secret = key_text(brought.peer).splitlines()[1]
    brought.paths[0].write_text(key_text(brought.peer))
    with pytest.raises(PkiError) as refusal:
        brought.read()
    assert secret not in str(refusal.value)
    assert secret not in repr(refusal.value)
    assert refusal.value.__cause__ is None


# Ready-made pairs


@pytest.fixture
def ready(tmp_path, brought):
    own = tmp_path / "ready" / "m1"
    own.mkdir(parents=True)
    for role in ("server", "peer"):
        made = issue(
            getattr(brought, "peer" if role == "peer" else "client"), LeafSpec(role, "m1", days=30), now=NOW
        )
        (own / f"{role}.pem").write_text(made.certificate_pem.partition("\n")[2])
        (own / f"{role}-key.pem").write_text(made.key_pem)
    return own


def test_ready_made_pairs_are_taken_and_bound_to_their_keys(ready, brought):
    pairs = ready_made(ready.parent, "m1")
    assert set(pairs) == {"server", "peer"}
    for role, made in pairs.items():
        on_disk = (ready / f"{role}-key.pem").read_bytes()
        assert made.key_pem.encode() == on_disk
        reasons = differences(
            made.certificate_pem,
            LeafSpec(role, "m1", days=30),
            trusted=[brought.client, brought.peer],
            now=NOW,
            renew_days=9,
            key_sha256=hashlib.sha256(on_disk).hexdigest(),
        )
        assert reasons == []


def test_a_key_with_other_line_ends_keeps_its_very_bytes(ready):
    path = ready / "server-key.pem"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    made = ready_made(ready.parent, "m1")["server"]
    assert made.key_pem.encode() == path.read_bytes()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_certificate(made.certificate_pem).key_sha256 == digest


def test_the_chain_behind_a_ready_made_certificate_is_kept(ready, brought):
    path = ready / "server.pem"
    path.write_text(path.read_text() + brought.client.pem)
    assert ready_made(ready.parent, "m1")["server"].certificate_pem.endswith(brought.client.pem)


@pytest.mark.parametrize("missing", ["server.pem", "peer-key.pem"])
def test_half_a_ready_made_pair_is_refused(ready, missing):
    (ready / missing).unlink()
    with pytest.raises(PkiError, match=f" without {missing}, wanted both; next: add {missing}"):
        ready_made(ready.parent, "m1")


def test_a_chain_in_the_wrong_order_is_refused(ready, brought):
    path = ready / "server.pem"
    path.write_text(brought.client.pem + path.read_text())
    with pytest.raises(PkiError, match="next: put the host's own certificate first"):
        ready_made(ready.parent, "m1")


def test_an_encrypted_leaf_key_is_refused_as_etcd_cannot_open_it(ready, brought, monkeypatch):
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    locked = serialization.BestAvailableEncryption(b"correct horse")
    (ready / "server-key.pem").write_text(key_text(brought.client, locked))
    with pytest.raises(PkiError, match=r"found an encrypted key, wanted a plain one; next: "):
        ready_made(ready.parent, "m1")


def test_a_ready_made_certificate_that_cannot_be_read_is_refused(ready):
    (ready / "peer.pem").write_text("nonsense")
    with pytest.raises(PkiError, match=r"peer.pem: found no readable certificate, wanted PEM; next: "):
        ready_made(ready.parent, "m1")


def test_a_host_without_a_folder_is_told(ready):
    with pytest.raises(PkiError, match="m2: found No such file or directory"):
        ready_made(ready.parent, "m2")


@pytest.mark.parametrize("name", ["", ".", "..", "../m1", "/etc", "a/b"])
def test_a_host_name_cannot_lead_out_of_the_folder(ready, name):
    with pytest.raises(PkiError, match="wanted a host name that can name a folder"):
        ready_made(ready.parent, name)
