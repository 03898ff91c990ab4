"""A file of certificates that holds more gives away certificates alone: here, and on every host."""

import subprocess
from datetime import UTC, datetime
from importlib import resources

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.certificates import bundle, key_text, pair, read_certificate
from etcd_steward.parsing import whole_line
from etcd_steward.pki import LeafSpec, PkiError, Subject, create_authority, issue
from etcd_steward.shell import script

NOW = datetime.now(UTC)
AUTHORITY = create_authority("a", subject=Subject(), days=90, now=NOW)
LEAF = issue(AUTHORITY, LeafSpec("server", "m1", ("localhost",), days=30), now=NOW)
SECRET = key_text(ec.generate_private_key(ec.SECP256R1()))
WITHOUT_END = SECRET.rpartition("-----END")[0]
JUNK = st.one_of(
    st.sampled_from(
        [
            SECRET,
            LEAF.key_pem,
            WITHOUT_END,
            SECRET.replace("PRIVATE KEY", "EC PRIVATE KEY"),
            SECRET.replace("\n", "\r\n"),
            SECRET.replace(
                "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
            ),
            "Bag Attributes\n    friendlyName: küche\n",
            "\ufeff",
            "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
            "\n\n",
        ]
    ),
    st.text(st.characters(exclude_characters="\0-", exclude_categories=["Cs"]), max_size=30).map(
        lambda text: f"{text}\n"
    ),
)
PARTS = st.lists(st.one_of(JUNK, st.sampled_from([LEAF.certificate_pem, AUTHORITY.pem])), max_size=6)


def told_by_a_host(path):
    command = script("certificates.sh") + f"\ncertificates_in {path} pem"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [whole_line(line.removeprefix("pem").removeprefix(" ")) for line in done.stdout.splitlines()]


def secrets_in(text):
    """Any whole line of a key, which is a part of it already."""
    keys = (SECRET + LEAF.key_pem).splitlines()
    return [line for line in keys if not line.startswith("-----") and line in text]


@given(PARTS)
def test_a_pair_holds_the_certificates_of_its_file_and_nothing_else(parts):
    text = "".join(parts)
    found = bundle(text)
    if not found:
        with pytest.raises(PkiError):
            pair(text, LEAF.key_pem)
        return
    made = pair(text, LEAF.key_pem).certificate_pem
    assert not secrets_in(made)
    assert [one.fingerprint for one in bundle(made)] == [one.fingerprint for one in found]
    assert made.partition("\n")[2] == "".join(one.pem for one in found)


@settings(max_examples=60, deadline=None)
@given(PARTS)
def test_a_host_tells_of_a_file_its_certificates_and_nothing_else(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("told") / "file.pem"
    path.write_bytes("".join(parts).encode())
    lines = told_by_a_host(path)
    assert not secrets_in("\n".join(lines))
    for line in lines:
        assert len(line) <= 64 or line.startswith("# key-sha256 ")


@settings(max_examples=30, deadline=None)
@given(st.lists(JUNK, max_size=3), st.lists(JUNK, max_size=3))
def test_a_host_tells_every_certificate_that_stands_on_lines_of_its_own(tmp_path_factory, before, after):
    path = tmp_path_factory.mktemp("told") / "file.pem"
    # A key whose end is missing takes in what follows it, for every reader.
    before = [part for part in before if part not in {WITHOUT_END, "\ufeff"}]
    path.write_bytes("".join([*before, LEAF.certificate_pem, *after, "\n", AUTHORITY.pem]).encode())
    told = "".join(f"{line}\n" for line in told_by_a_host(path))
    found = [one.fingerprint for one in bundle(told)]
    assert found == [read_certificate(LEAF.certificate_pem).fingerprint, AUTHORITY.fingerprint]


def test_the_comment_that_names_the_key_is_told_where_it_comes_first(tmp_path):
    (tmp_path / "server.pem").write_text(LEAF.certificate_pem)
    told = "".join(f"{line}\n" for line in told_by_a_host(tmp_path / "server.pem"))
    assert told == LEAF.certificate_pem


def test_a_file_without_a_certificate_is_told_as_an_empty_one(tmp_path):
    (tmp_path / "server.pem").write_text(SECRET)
    assert told_by_a_host(tmp_path / "server.pem") == [""]
    assert told_by_a_host(tmp_path / "none.pem") == []


def test_no_script_prints_a_file_that_may_hold_a_key():
    for file in resources.files("etcd_steward.templates").iterdir():
        if file.name.endswith((".sh", ".j2")) and file.name != "certificates.sh":
            content = file.read_text()
            for line in content.splitlines():
                if "pem " in line and ("say" in line or "print" in line or "echo" in line):
                    raise AssertionError(f"{file.name}: {line}")
