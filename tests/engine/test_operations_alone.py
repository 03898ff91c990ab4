"""Operations in somebody else's deploy, without any cluster or run of ours, with pyinfra's real engine."""

import hashlib

import pytest
from pyinfra.api import deploy

from etcd_steward.operations import account, binary, files, release, time
from etcd_steward.releases import Archive, ReleaseError
from tests.engine.fakes import FakeHost, run_deploy

HOST = "@fake/web"
MOTD = files.FileSpec("/etc/motd", "Mind the quorum.\n")
KEY = files.FileSpec(
    "/etc/app/key.pem", "-----BEGIN PRIVATE KEY-----\nsecret\n", mode="600", owner="app:app", secret=True
)


def run(operation, reply=lambda _command: [], **more):
    """Run one operation over one host that has no settings of ours."""

    @deploy("a stranger's deploy")
    def stranger():
        operation()

    host = FakeHost(HOST, {"fake_delay": 0, "fake_delay_jitter": 0}, reply=reply, groups=("web",))
    result = run_deploy({HOST: host}, stranger, **more)
    assert result.refused in ("", "No hosts remaining!")
    return result


def put(*specs):
    return lambda: files.put(name="Put", files=list(specs))


def there(*specs, mode=None):
    """Answer the question for digests as a host that has these files."""
    lines = [
        f"{hashlib.sha256(spec.content.encode()).hexdigest()} {mode or spec.mode} {spec.owner} {spec.path}"
        for spec in specs
    ]
    return lambda command: lines if "sha256sum" in command else []


def changed(result):
    return [command for command in result.commands[HOST] if "put() {" in command]


def test_files_are_put_in_one_command_and_their_contents_are_in_no_command_line():
    result = run(put(MOTD, KEY))
    (command,) = changed(result)
    assert "put /etc/motd 644 root:root 1\nput /etc/app/key.pem 600 app:app 2" in command
    assert result.stdin[HOST] == [MOTD.content + KEY.content]
    shown = "".join(result.commands[HOST]) + result.log + result.stdout
    assert "secret" not in shown
    assert result.failed == set()


def test_files_that_are_as_they_should_be_are_left_alone():
    result = run(put(MOTD, KEY), there(MOTD, KEY))
    assert changed(result) == []
    assert len(result.commands[HOST]) == 1


def test_only_what_differs_is_written():
    result = run(put(MOTD, KEY), there(MOTD))
    assert "put /etc/app/key.pem" in changed(result)[0]
    assert "put /etc/motd" not in changed(result)[0]


def test_a_wrong_mode_is_a_difference():
    assert len(changed(run(put(MOTD), there(MOTD, mode="666")))) == 1


def test_a_content_that_is_made_late_is_not_made_in_a_dry_run():
    made = []
    spec = files.FileSpec("/etc/token", lambda: made.append("x") or "token\n", secret=True)
    assert changed(run(put(spec), mode="dry")) == []
    assert made == []
    result = run(put(spec))
    assert result.stdin[HOST] == ["token\n"]


@pytest.mark.parametrize("content", ["no end", "a\r\n", "a\0\n"])
def test_a_content_that_cannot_be_written_fails_in_a_sentence(content):
    result = run(put(files.FileSpec("/etc/x", content)))
    assert (
        "found a content for /etc/x that is not lines of text, wanted lines that end with a line break; next: "
        in result.log
    )
    assert result.failed == {HOST}
    assert changed(result) == []


def test_a_failed_write_fails_the_host():
    result = run(put(MOTD), lambda command: None if "put() {" in command else [])
    assert result.failed == {HOST}


@pytest.mark.parametrize("missing", [None, True])
def test_an_account_is_made_where_it_is_missing(missing):
    result = run(lambda: account.present(name="Account", user="app", group="apps", uid=1001, missing=missing))
    assert "user=app\ngroup=apps\nuid=1001\ngid=''" in result.commands[HOST][-1]
    assert result.failed == set()


def test_an_account_that_is_there_is_left_alone():
    result = run(lambda: account.present(name="Account"), lambda _command: ["yes"])
    assert len(result.commands[HOST]) == 1


def obtained(tmp_path):
    archive = tmp_path / "etcd.tar.gz"
    archive.write_bytes(b"archive")
    return Archive(archive, "ab" * 32)


def test_a_release_is_uploaded_checked_there_and_unpacked(tmp_path):
    result = run(lambda: release.staged(name="Stage", version="3.5.33", obtain=lambda: obtained(tmp_path)))
    assert result.uploads[HOST] == ["/opt/etcd/.staging/etcd-v3.5.33-linux-amd64.tar.gz"]
    assert f"sha256={'ab' * 32}" in result.commands[HOST][-1]
    assert "chmod 700 /opt/etcd/.staging" in result.commands[HOST][-2]


def test_a_release_that_is_there_is_not_even_downloaded():
    result = run(
        lambda: release.staged(name="Stage", version="3.5.33", obtain=pytest.fail),
        lambda _command: [f"3.5.33 {'0' * 64}"],
    )
    assert len(result.commands[HOST]) == 1
    assert result.failed == set()


def test_a_dry_run_downloads_nothing():
    result = run(lambda: release.staged(name="Stage", version="3.5.33", obtain=pytest.fail), mode="dry")
    assert result.uploads[HOST] == []


def test_a_release_that_cannot_be_obtained_fails_in_a_sentence():
    def obtain():
        raise ReleaseError("no archive", "one", "set etcd_mirror")

    result = run(lambda: release.staged(name="Stage", version="3.5.33", obtain=obtain))
    assert result.failed == {HOST}
    assert "found no archive, wanted one; next: set etcd_mirror" in result.log
    assert result.uploads[HOST] == []


def stage_tool(obtain):
    return lambda: binary.staged(
        name="Stage the tool", program="tool", version="1.2.3", obtain=obtain, prefix="/opt/tool"
    )


def test_a_program_is_uploaded_and_checked_there(tmp_path):
    result = run(stage_tool(lambda: obtained(tmp_path)))
    assert result.uploads[HOST] == ["/opt/tool/.staging/tool"]
    assert "chmod 700 /opt/tool/.staging" in result.commands[HOST][-2]
    lines = result.commands[HOST][-1].splitlines()
    assert {"file=tool", f"sha256={'ab' * 32}", "prefix=/opt/tool", "program=tool", "version=1.2.3"} <= {
        *lines
    }


def test_a_program_that_is_there_is_not_even_downloaded():
    result = run(stage_tool(pytest.fail), lambda _command: ["yes"])
    assert (len(result.commands[HOST]), result.failed) == (1, set())


def test_a_dry_run_downloads_no_program():
    assert run(stage_tool(pytest.fail), mode="dry").uploads[HOST] == []


def test_a_program_that_cannot_be_obtained_fails_in_a_sentence():
    def obtain():
        raise ReleaseError("no program", "one", "set its mirror")

    result = run(stage_tool(obtain))
    assert (result.failed, result.uploads[HOST]) == ({HOST}, [])
    assert "found no program, wanted one; next: set its mirror" in result.log


def test_the_clock_of_a_host_that_does_not_answer_is_not_touched():
    result = run(lambda: time.synchronised(name="Clock"))
    assert result.failed == {HOST}
    assert "found no answer to the probe (" in result.log
