"""What is promised about programs that are one file: on the controller, and when they are put on a host."""

import ast
import hashlib
import subprocess

import pytest

from etcd_steward import crio, k3s, kubeadm, kubelet
from etcd_steward.binaries import Program, obtain
from etcd_steward.downloads import ReleaseError
from etcd_steward.settings import Settings
from etcd_steward.shell import script

BODY = b"#!/bin/sh\necho tool 1.2.3\n"
SHA256 = hashlib.sha256(BODY).hexdigest()
SETTINGS = ("tool_version", "tool_mirror", "tool_sha256")


@pytest.fixture
def get(tmp_path, monkeypatch):
    """Publish a program and a list of digests; urllib reads from files here, as it does from a server."""

    def get(sums=f"{SHA256}  tool-arm64\n", digest=None, body=BODY, **more):
        (tmp_path / "tool-arm64").write_bytes(body)
        (tmp_path / "sums").write_text(sums)
        site = tmp_path.as_uri()
        program = Program("tool", "1.2.3", "arm64", f"{site}/tool-arm64", f"{site}/sums", SETTINGS)
        return obtain(program, digest, tmp_path / "cache", **more)

    return get


@pytest.mark.parametrize("sums", [f"{'0' * 64}  other\n{SHA256} *tool-arm64\n", f"{SHA256}\n"])
def test_a_program_is_verified_with_the_digest_beside_it(get, sums):
    found = get(sums)
    assert (found.sha256, found.path.read_bytes()) == (SHA256, BODY)


def test_the_operators_digest_goes_before_the_one_beside_it(get):
    assert get("nothing", {"arm64": SHA256.upper()}).sha256 == SHA256
    with pytest.raises(ReleaseError, match="do not use it; where a mirror builds its own, set tool_sha256"):
        get(digest="0" * 64)


def test_a_program_is_downloaded_once(get):
    get()
    assert get(body=b"").path.read_bytes() == BODY


def test_nothing_is_used_without_a_digest(get, tmp_path):
    with pytest.raises(ReleaseError, match=r"no SHA-256 of .*; next: set tool_sha256 = \{'arm64': '…'\}$"):
        get(f"{SHA256}  tool\n")
    assert not (tmp_path / "cache").exists()


def test_where_a_digest_is_required_the_one_beside_the_program_is_not_believed(get, tmp_path):
    with pytest.raises(ReleaseError, match=r"in tool_sha256, wanted one, as etcd_require_digest is set"):
        get(known_only=True)
    assert not (tmp_path / "cache").exists()
    assert get(digest={"arm64": SHA256}, known_only=True).sha256 == SHA256


def put(folder, body, sha256=SHA256, last="binary.sh"):
    staging = folder / ".staging"
    staging.mkdir(exist_ok=True)
    (staging / "tool").write_bytes(body)
    names = {"file": "tool", "program": "tool", "called": "a tool", "version": "1.2.3"}
    names |= {"etc": f"{folder}/etc", "aside": f"{folder}/etc/etcd-steward/before"}
    (folder / "etc").mkdir(exist_ok=True)
    command = script(
        "asked.sh",
        "kept.sh",
        "matches.sh",
        last,
        **names,
        staging=str(staging),
        sha256=sha256,
        prefix=str(folder),
    )
    return subprocess.run(["sh", "-c", command + ""], capture_output=True, text=True, check=False)


def test_a_program_is_checked_once_more_on_the_host_and_put_beside_its_other_releases(tmp_path):
    for _ in range(2):
        done = put(tmp_path, BODY)
        assert (done.returncode, done.stderr) == (0, "")
    at = tmp_path / "1.2.3"
    assert (at / "tool").read_bytes() == BODY
    assert oct((at / "tool").stat().st_mode & 0o777) == "0o755"
    assert (at / ".tool-sha256").read_text() == f"{SHA256}\n"
    assert len(list(at.glob("tool.*"))) == 1, "what lay there is moved aside"


def test_a_program_that_is_another_on_the_host_is_kept_apart_and_never_used(tmp_path):
    done = put(tmp_path, BODY + b"x")
    assert done.returncode == 1
    assert f"wanted {SHA256}; next: look at {tmp_path}/.staging/tool.bad, then run again" in done.stderr
    assert not (tmp_path / "1.2.3").exists()


def test_a_program_that_does_not_run_on_the_host_is_not_put_there(tmp_path):
    body = b"#!/bin/sh\necho Exec format error >&2\nexit 126\n"
    done = put(tmp_path, body, hashlib.sha256(body).hexdigest())
    assert "found a tool 1.2.3 that this host cannot start: Exec format error" in done.stderr
    assert not (tmp_path / "1.2.3").exists()


def archive(folder, installer):
    """Pack an archive with an installer, as CRI-O's is."""
    inner = folder / "tool-1.2.3"
    inner.mkdir()
    (inner / "install").write_text(f"set -e\n{installer}\n")
    subprocess.run(["tar", "-czf", folder / "packed", "-C", folder, inner.name], check=True)
    body = (folder / "packed").read_bytes()
    return body, hashlib.sha256(body).hexdigest()


def test_an_archive_with_an_installer_is_checked_once_more_and_its_installer_run_in_its_folder(tmp_path):
    body, sha256 = archive(tmp_path, f"cp install {tmp_path}/installed")
    done = put(tmp_path, body, sha256, last="bundle.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "installed").exists()
    assert (tmp_path / "1.2.3/.tool-sha256").read_text() == f"{sha256}\n"
    assert list((tmp_path / ".staging").iterdir()) == []


def test_what_an_installer_writes_over_is_kept_once_for_each_content_and_ours_is_not(tmp_path):
    etc = tmp_path / "etc"
    (etc / "crio/conf.d").mkdir(parents=True)
    mine, ours, other = etc / "policy.json", etc / "crictl.yaml", etc / "crio/conf.d/10-crio.conf"
    inner = tmp_path / "tool-1.2.3/etc"
    inner.mkdir(parents=True)
    for file in (mine, ours, other):
        (inner / file.name).write_text("upstream's\n")
    (tmp_path / "tool-1.2.3/install").write_text(
        f"set -e\ncp etc/policy.json {mine}\ncp etc/crictl.yaml {ours}\ncp etc/10-crio.conf {other}\n{{ ! [ -e {tmp_path}/no ]; }}\n"
    )
    subprocess.run(["tar", "-czf", tmp_path / "packed", "-C", tmp_path, "tool-1.2.3"], check=True)
    body = (tmp_path / "packed").read_bytes()
    before = etc / "etcd-steward/before"
    for turn, content in enumerate(("first\n", "first\n", "second\n")):
        mine.write_text(content)
        ours.write_text("# Written by etcd-steward; changes here are overwritten.\n")
        other.write_text("upstream's\n")
        if turn == 2:
            (tmp_path / "no").touch()  # it fails after it has written
        done = put(tmp_path, body, hashlib.sha256(body).hexdigest(), last="bundle.sh")
        assert (done.returncode, mine.read_text()) == (int(turn == 2), "upstream's\n")
        assert str(mine) in done.stdout
    kept = sorted(path for path in before.rglob("*") if path.is_file())
    assert [path.read_text() for path in kept] == ["first\n", "second\n"]
    assert kept[0] == before / str(mine).lstrip("/")
    assert {oct(path.stat().st_mode & 0o77) for path in kept} == {"0o0"}


def test_an_installer_that_fails_leaves_no_note_that_all_is_installed(tmp_path):
    body, sha256 = archive(tmp_path, "echo no room; exit 3")
    done = put(tmp_path, body, sha256, last="bundle.sh")
    assert done.returncode == 1
    assert "found an installer of tool 1.2.3 that failed: no room" in done.stderr
    assert not (tmp_path / "1.2.3").exists()


def test_an_archive_that_is_another_on_the_host_is_never_unpacked(tmp_path):
    body, _ = archive(tmp_path, f"cp install {tmp_path}/installed")
    done = put(tmp_path, body, SHA256, last="bundle.sh")
    assert done.returncode == 1
    assert f"wanted {SHA256}; next: look at {tmp_path}/.staging/tool.bad" in done.stderr
    assert not (tmp_path / "installed").exists()


@pytest.mark.parametrize(
    "program",
    [
        kubeadm.program("kubectl", "v1.36.2", "amd64", None),
        kubelet.program("v1.36.2", "amd64"),
        crio.program("v1.36.2", "amd64"),
        k3s.program("v1.34.2+k3s1", "amd64", None),
    ],
    ids=lambda program: program.name,
)
def test_what_is_advised_about_a_program_is_a_setting_that_is_accepted(program):
    assert set(program.settings) <= set(Settings.model_fields)
    name, _, value = program.digest_setting("0" * 64).partition(" = ")
    given = Settings(**{name: ast.literal_eval(value)})
    digests = getattr(given, name)
    assert (digests[program.name] if program.many else digests) == {"amd64": "0" * 64}
