"""Shell text: every value quoted, every file whole or not at all. The fragments are run for real."""

import os
import shutil
import socket
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.shell import Content, framed, put_calls, script, settle_calls
from etcd_steward.templating import render, text

ODD = "a b'c\"d$(id)`id`\\ ;|&<>*?[~#!\t%s é\n-n"
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def run(command, given_input="", **more):
    return subprocess.run(
        ["sh", "-c", command + ""], input=given_input, capture_output=True, text=True, check=False, **more
    )


def put(*files, given_input=None):
    content = framed(files) if given_input is None else given_input
    return run(
        f"{text('enter.sh')}\n{text('put.sh')}\n{put_calls(files)}\ncd /; entered=\n{settle_calls(files)}",
        content,
    )


def own(path, content, mode="644"):
    return Content(str(path), content, mode, "root:root")


@settings(max_examples=30)
@given(VALUES)
def test_any_value_arrives_as_it_is(value):
    told = subprocess.run(
        ["sh", "-c", f'{script_line(value)}\nprintf %s "$value"'], capture_output=True, check=True
    )
    assert told.stdout.decode() == value


def script_line(value):
    """Give the line in which `script` sets a variable."""
    whole = script("link.sh", value=value) + ""
    return whole.removeprefix(text("environment.sh")).removesuffix(text("link.sh")).removesuffix("\n")


def test_a_list_becomes_words_and_none_an_empty_text():
    assert script_line(["a", "b"]) == "value='a b'"
    assert script_line(None) == "value=''"
    assert script_line(7) == "value=7"


def test_a_script_never_shows_its_text():
    shown = script("ctl.sh", "probe.sh", key="/etc/etcd/pki/health-key.pem")
    assert (str(shown), repr(shown), f"{shown}") == ("probe", "<probe>", "probe")
    assert "health-key" in shown + ""


def test_a_content_is_not_shown_either():
    assert "secret" not in repr(Content("/a", "secret\n"))


@pytest.mark.parametrize("content", ["a", "a\r\n", "a\0\n", "\n\na"])
def test_only_lines_of_text_can_be_written(content):
    with pytest.raises(ValueError, match=r"^/a: its content must be lines of text$"):
        framed([Content("/a", content)])


def test_files_are_written_with_mode_and_owner_and_their_folders_made(tmp_path):
    files = [
        own(tmp_path / "a/b/one", ODD + "\n", "640"),
        own(tmp_path / "two", "\n\n  x\\\n", "755"),
        own(tmp_path / "none", ""),
    ]
    done = put(*files)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for file in files:
        assert Path(file.path).read_text() == file.content
        assert f"{Path(file.path).stat().st_mode & 0o777:o}" == file.mode
    assert oct((tmp_path / "a").stat().st_mode & 0o777) == "0o755"
    assert not list(tmp_path.rglob("*.steward"))


@settings(max_examples=15)
@given(contents=st.lists(VALUES.map(lambda line: line.replace("\r", "") + "\n"), min_size=1, max_size=3))
def test_any_lines_arrive_as_they_are(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("put")
    files = [own(folder / str(number), content) for number, content in enumerate(contents)]
    assert put(*files).returncode == 0
    for file in files:
        with Path(file.path).open(newline="") as written:
            assert written.read() == file.content


def test_a_key_and_its_certificate_are_switched_by_one_command(tmp_path, monkeypatch):
    tools, said = tmp_path / "tools", tmp_path / "said"
    tools.mkdir()
    (tools / "mv").write_text(f'#!/bin/sh\necho "$@" >>{said}\nexec {shutil.which("mv")} "$@"\n')
    (tools / "mv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    folder = tmp_path / "pki"
    key = replace(own(folder / "server-key.pem", "key\n", "600"), with_next=True)
    assert (
        put(key, own(folder / "server.pem", "certificate\n"), own(folder / "ca.pem", "ca\n")).returncode == 0
    )
    both, _alone = said.read_text().splitlines()
    assert both == "-f ./server-key.pem ./server.pem ../"
    found = {file.name: (file.read_text(), f"{file.stat().st_mode & 0o777:o}") for file in folder.iterdir()}
    assert found == {
        "server-key.pem": ("key\n", "600"),
        "server.pem": ("certificate\n", "644"),
        "ca.pem": ("ca\n", "644"),
    }


def test_a_certificate_that_was_cut_short_leaves_the_old_key_too(tmp_path):
    (tmp_path / "key").write_text("old\n")
    key = replace(own(tmp_path / "key", "new\n", "600"), with_next=True)
    assert put(key, own(tmp_path / "certificate", "1\n2\n"), given_input="new\n1\n").returncode != 0
    assert (tmp_path / "key").read_text() == "old\n"


def test_content_that_was_cut_short_leaves_the_old_file(tmp_path):
    (tmp_path / "one").write_text("old\n")
    done = put(own(tmp_path / "one", "1\n2\n3\n"), given_input="1\n2")
    assert done.returncode != 0
    assert done.stderr == f"the content of {tmp_path}/one was cut short\n"
    assert (tmp_path / "one").read_text() == "old\n"


def test_a_file_that_cannot_be_given_to_its_owner_leaves_the_old_one_and_stops(tmp_path):
    (tmp_path / "one").write_text("old\n")
    files = [
        Content(str(tmp_path / "one"), "new\n", "644", "no-such-account:root"),
        own(tmp_path / "two", "new\n"),
    ]
    assert put(*files).returncode != 0
    assert (tmp_path / "one").read_text() == "old\n"
    assert not (tmp_path / "two").exists()


def test_a_secret_is_never_readable_by_others_not_even_for_a_moment(tmp_path):
    # Without an owner to give it to, what was begun stays: as only root may read it.
    put(Content(str(tmp_path / "key"), "secret\n", "600", "no-such-account:root"))
    (left,) = tmp_path.rglob("key")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert stat.S_IMODE(left.parent.stat().st_mode) == 0o700


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "one").mkdir()
    done = put(own(tmp_path / "one", "new\n"))
    assert done.stderr == f"found a folder at {tmp_path}/one, wanted a file; next: move it aside\n"
    assert list((tmp_path / "one").iterdir()) == []


def test_links_are_switched_and_what_was_no_link_is_moved_aside(tmp_path):
    (tmp_path / "etcd").write_text("a program of somebody's own")
    (tmp_path / "etcdctl").symlink_to("/elsewhere/etcdctl")
    done = run(
        script("link.sh", bin_dir=str(tmp_path), release="/opt/etcd/3.5.33", tools=("etcd", "etcdctl"))
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert str((tmp_path / "etcd").readlink()) == "/opt/etcd/3.5.33/etcd"
    assert str((tmp_path / "etcdctl").readlink()) == "/opt/etcd/3.5.33/etcdctl"
    (aside,) = tmp_path.glob("etcd.*")
    assert aside.read_text() == "a program of somebody's own"


def test_folders_are_made_with_mode_and_owner(tmp_path):
    done = run(
        script(
            "enter.sh",
            "folders.sh",
            folders=[f"{tmp_path}/a/b", "700", "root:root", f"{tmp_path}/c", "755", "root:root"],
        )
    )
    assert (done.returncode, done.stderr) == (0, "")
    modes = {name: oct((tmp_path / name).stat().st_mode & 0o777) for name in ("a", "a/b", "c")}
    assert modes == {"a": "0o755", "a/b": "0o700", "c": "0o755"}


def test_data_is_moved_aside_in_place_and_never_over_what_lies_aside_already(tmp_path):
    for turn in ("first", "second"):
        (tmp_path / "member").mkdir()
        (tmp_path / "member" / "db").write_text(turn)
        done = run(script("aside.sh", data_dir=str(tmp_path), wal_dir=""))
        assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "member").exists()
    assert sorted(path.read_text() for path in tmp_path.glob("member.*/db")) == ["first", "second"]


def test_restored_data_takes_the_place_of_the_old_and_doing_it_twice_does_nothing_more(tmp_path):
    data, disk = tmp_path / "data", tmp_path / "ssd"
    for path in (data / "member", data / "member.new-3f", disk / "wal", disk / "wal.new-3f"):
        path.mkdir(parents=True)
        (path / "what").write_text("new" if "new" in path.name else "old")
    command = script("aside.sh", data_dir=str(data), wal_dir=str(disk), incoming="new-3f")
    # Cut after the log was switched in: the data still waits.
    (disk / "wal").rename(disk / "wal.20260101T000000Z-1")
    (disk / "wal.new-3f").rename(disk / "wal")
    for _ in range(2):
        done = run(command)
        assert (done.returncode, done.stderr) == (0, "")
        assert [(folder / "what").read_text() for folder in (data / "member", disk / "wal")] == ["new", "new"]
        assert [path.read_text() for path in data.glob("member.*/what")] == ["old"]
        assert [path.read_text() for path in disk.glob("wal.*/what")] == ["old"]


def test_a_log_on_a_disk_of_its_own_goes_aside_on_that_disk(tmp_path):
    data, disk = tmp_path / "data", tmp_path / "ssd"
    (data / "member").mkdir(parents=True)
    for turn in ("first", "second"):
        (disk / "wal").mkdir(parents=True)
        (disk / "wal" / "0.wal").write_text(turn)
        done = run(script("aside.sh", data_dir=str(data), wal_dir=str(disk)))
        assert (done.returncode, done.stderr) == (0, "")
    assert not (disk / "wal").exists()
    assert sorted(path.read_text() for path in disk.glob("wal.*/0.wal")) == ["first", "second"]


SICK = "http://127.0.0.1:2379 is unhealthy: failed to commit proposal: {}\nError: unhealthy cluster"
TOLD = '[{"Status":{}}]'


def etcdctl(folder, health, status=TOLD):
    """Write an etcdctl that says of every endpoint what the real one says; without a text it fails."""
    calls = "\n".join(
        f"*'{words}'*) printf '%s\\n' '{said}' {'>&2; exit 1' if 'unhealthy' in said or not said else ''} ;;"
        for words, said in (("endpoint health", health), ("endpoint status", status))
    )
    (folder / "etcdctl").write_text(f'#!/bin/sh\ncase "$*" in\n{calls}\nesac\n')
    (folder / "etcdctl").chmod(0o755)


def ask(folder, fragment, **values):
    return run(
        "listens() { :; }\n"
        + (script("ctl.sh", fragment, bin_dir=str(folder), ca="", cert="", key="", **values) + "").replace(
            "listens() {", "ports() {"
        )
    ).stdout


# What 3.5.30 says under an alarm: its health check reads first, and fails then. 3.4.23 is healthy under the alarm.
@pytest.mark.parametrize(
    ("health", "well"),
    [
        ("http://127.0.0.1:2379 is healthy: successfully committed proposal: took = 2ms", True),
        (SICK.format("Active Alarm(s): NOSPACE "), True),
        (SICK.format("Active Alarm(s): NOSPACE NOSPACE "), True),
        (SICK.format("Active Alarm(s): CORRUPT "), False),
        (SICK.format("Active Alarm(s): NOSPACE CORRUPT "), False),
        (SICK.format("Active Alarm(s): UNKNOWN "), False),
        (SICK.format("context deadline exceeded"), False),
    ],
)
def test_f36_a_member_that_only_lacks_space_serves_and_any_other_alarm_is_an_ailment(tmp_path, health, well):
    etcdctl(tmp_path, health)
    others = ask(tmp_path, "others.sh", endpoints="a", unwell="")
    awaited = ask(tmp_path, "await.sh", endpoint="a", seconds=0, learner="")
    assert others.startswith(f"status a {TOLD}" if well else "down a ")
    assert awaited.startswith(f"status {TOLD}" if well else "waiting ")


def test_who_is_looked_for_whatever_its_condition_is_found_while_it_tells_its_status(tmp_path):
    etcdctl(tmp_path, SICK.format("context deadline exceeded"))
    assert ask(tmp_path, "others.sh", endpoints="a", unwell="yes") == f"status a {TOLD}\n"
    etcdctl(tmp_path, "unhealthy", "")
    assert ask(tmp_path, "others.sh", endpoints="a", unwell="yes").startswith("down a ")


def test_a_learner_is_awaited_by_its_status_alone(tmp_path):
    etcdctl(tmp_path, "unhealthy")
    assert ask(tmp_path, "await.sh", endpoint="a", seconds=0, learner="yes") == f"status {TOLD}\n"


def test_a_member_that_ends_while_it_is_defragmented_is_not_waited_for(tmp_path):
    # etcdctl itself tries for as long as it may, which is an hour here.
    (tmp_path / "etcdctl").write_text("#!/bin/sh\nexec sleep 3600\n")
    (tmp_path / "etcdctl").chmod(0o755)
    values = {"bin_dir": str(tmp_path), "ca": "", "cert": "", "key": "", "seconds": 3600}
    done = run(script("ctl.sh", "defragment.sh", endpoint="https://127.0.0.1:1", **values), timeout=60)
    assert done.returncode == 1
    assert "does not defragment (nothing listens on https://127.0.0.1:1 any more)" in done.stderr


@pytest.mark.parametrize(("ends", "status"), [("exit 0", 0), ("echo Error: why >&2; exit 1", 1)])
def test_what_etcdctl_says_of_a_defragmentation_is_what_counts_while_etcd_listens(tmp_path, ends, status):
    (tmp_path / "etcdctl").write_text(f"#!/bin/sh\n{ends}\n")
    (tmp_path / "etcdctl").chmod(0o755)
    values = {"bin_dir": str(tmp_path), "ca": "", "cert": "", "key": "", "seconds": 9}
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"https://127.0.0.1:{server.getsockname()[1]}"
        done = run(script("ctl.sh", "defragment.sh", endpoint=endpoint, **values), timeout=60)
    assert done.returncode == status
    assert ("(Error: why)" in done.stderr) == bool(status)


@pytest.mark.parametrize("flag", ["endpoints", "cacert", "cert", "key"])
@pytest.mark.parametrize("form", ["--{}=mine", "--{} mine"])
def test_what_is_given_to_etcdctl_by_hand_takes_the_place_of_the_profiles_variable(tmp_path, flag, form):
    (tmp_path / "etcdctl").write_text("#!/bin/sh\nenv; echo arguments: $*\n")
    (tmp_path / "etcdctl").chmod(0o755)
    profile = render(
        "etcdctl.sh.j2", endpoints=["https://n1:2379"], bin_dir=tmp_path, ca="ca", cert="c", key="k"
    )
    variables = {"ETCDCTL_ENDPOINTS", "ETCDCTL_CACERT", "ETCDCTL_CERT", "ETCDCTL_KEY"}
    told = run(f"{profile}etcdctl {form.format(flag)} get 'a b'").stdout
    # etcdctl 3.4.23 and 3.5.30 end with "conflicting environment variable" where both are set.
    assert {name for name in variables if f"{name}=" in told} == variables - {f"ETCDCTL_{flag.upper()}"}
    assert f"arguments: {form.format(flag)} get a b\n" in told
    told = run(f"{profile}etcdctl get a; echo $ETCDCTL_ENDPOINTS").stdout
    assert {name for name in variables if f"{name}=" in told} == variables
    assert told.endswith("https://n1:2379\n")


def test_our_own_questions_do_not_mind_variables_of_etcdctl_in_the_environment(tmp_path):
    (tmp_path / "etcdctl").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "etcdctl").chmod(0o755)
    question = script("ctl.sh", bin_dir=str(tmp_path), ca="", cert="", key="") + "\nctl here get a"
    told = run(
        f"export ETCDCTL_ENDPOINTS=there ETCDCTL_CACERT=x ETCDCTL_CERT=x ETCDCTL_KEY=x\n{question}"
    ).stdout
    assert [line for line in told.splitlines() if line.startswith("ETCDCTL_")] == []
