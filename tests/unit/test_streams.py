"""What a tool answers and what it warns of are two things: a warning never becomes an answer, nor part of one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from etcd_steward.shell import script
from etcd_steward.templating import text

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("templates", "etcd_steward", "operations", "facts")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".sh", ".j2", ".py"} and path.is_file()
)
# Where a tool's errors may join its output: nobody reads either, or only the errors are left.
APART = (
    re.compile(r">\s*(/dev/null|\"?\$?\{?[\w/.$}]+\"?) 2>&1"),
    re.compile(r"2>&1 >/dev/null"),
    re.compile(r"scheduled 2>&1 \"$"),  # cron's line goes to the log
)
HEAR = "&& ended=0 || ended=$?; } 2>&1"
# etcd's tools, by the words with which fragments start them.
TOOL = re.compile(r'"(\$bin_dir/etcdctl|\$tool|\$etcdutl)" (snapshot|check|-)')


# It takes the place of the shell, under a limit where the host has one.
BECOMES = 'ctl.sh: exec ${limit:+$limit ${longest:-60}} "$bin_dir/etcdctl"'


def test_the_errors_of_a_tool_are_merged_into_its_output_in_one_place_alone() -> None:
    merged = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text().splitlines()
        if re.search(r"2>&1|[|>]&\s*[^\s&0-9-]|&>", line.replace("&&", ""))
        and not any(way.search(line) for way in APART)
        and not line.lstrip().startswith("#")
    ]
    assert len(merged) == 1, merged
    assert merged[0].startswith("templates/ctl.sh")
    assert HEAR in merged[0], "`hear` takes them apart again"


def test_every_tool_of_etcd_is_heard_with_its_streams_apart() -> None:
    started = [
        f"{path.name}: {line.strip()}"
        for path in SOURCES
        if path.suffix == ".sh"
        for line in path.read_text().splitlines()
        if TOOL.search(line)
    ]
    assert len(started) >= 4, "the search itself finds them"
    for line in started:
        assert "hear " in line or line.startswith(BECOMES), line


WARNING = '{"level":"warn","caller":"flags/flag.go:94","msg":"unrecognized environment variable","environment-variable":"X=3"}'
PLAIN = "WARNING: this build is not for production"


def hear(tmp_path: Path, tool: str, after: str) -> str:
    (tmp_path / "tool").write_text(f"#!/bin/sh\n{tool}\n")
    (tmp_path / "tool").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"{text('ctl.sh')}\nhear {tmp_path}/tool && outcome=0 || outcome=$?\n{after}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("answer", ["", "x", "[1]\n", "a\nb\n", "\n", ":7: answer\n", "e" * 200_000])
@pytest.mark.parametrize("said", ["", f"{WARNING}\n{PLAIN}\n", "no line break", "\\n\\n"])
@pytest.mark.parametrize("outcome", [0, 3])
def test_whatever_a_tool_says_its_answer_its_errors_and_its_status_come_apart(
    tmp_path: Path, answer: str, said: str, outcome: int
) -> None:
    (tmp_path / "out").write_text(answer)
    (tmp_path / "err").write_text(said)
    tool = f"cat {tmp_path}/err >&2; cat {tmp_path}/out; cat {tmp_path}/err >&2; exit {outcome}"
    told = hear(tmp_path, tool, """printf '%s\n' "$outcome" "<$answer>" "($said)" """)
    assert told.startswith(f"{outcome}\n<{answer.rstrip(chr(10))}>\n(")
    assert told.count(PLAIN) == 2 * said.count(PLAIN)


def test_nothing_is_left_behind_by_a_question_that_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    (tmp_path / "tool").write_text(f"#!/bin/sh\necho begun >{tmp_path}/begun; exec sleep 60\n")
    (tmp_path / "tool").chmod(0o755)
    command = f"{text('ctl.sh')}\nhear {tmp_path}/tool"
    environment = {"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]}
    with subprocess.Popen(["sh", "-c", command], start_new_session=True, env=environment) as process:
        assert (tmp_path / "begun").read_text() == "begun\n"
        os.killpg(process.pid, signal.SIGKILL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "tool"]


@pytest.mark.parametrize(
    ("tool", "why"),
    [
        ("exit 5", "no word of it, and exit status 5"),
        (
            f"echo '{WARNING}' >&2; echo '{PLAIN}' >&2; echo 'Error: etcdserver: user name not found' >&2; exit 1",
            "Error: etcdserver: user name not found",
        ),
        ("echo unreadable; exit 1", "unreadable"),
        (
            """echo '{"level":"warn","error":"rpc error: code = Unknown"}' >&2; exit 1""",
            "rpc error: code = Unknown",
        ),
        (
            """echo '{"error":"latest balancer error: connection error: desc = \\"transport: refused\\""}' >&2
echo 'a is unhealthy: failed to commit proposal: context deadline exceeded' >&2; echo 'Error: unhealthy cluster' >&2; exit 1""",
            "connection error: desc = transport: refused",
        ),
    ],
)
def test_a_failure_is_never_without_a_reason(tmp_path: Path, tool: str, why: str) -> None:
    assert hear(tmp_path, tool, "why") == f"{why}\n"


STATUS = (
    '[{"Endpoint":"x","Status":{"header":{"cluster_id":9,"member_id":7,"revision":3,"raft_term":2},"version":"3.6.14",'
    '"dbSize":20480,"leader":7,"raftIndex":42,"raftTerm":2,"raftAppliedIndex":42,"storageVersion":"3.6.0","downgradeInfo":{}}}]'
)
MEMBERS = '{"header":{"cluster_id":9,"member_id":7},"members":[{"ID":7,"name":"n1","peerURLs":["p"],"clientURLs":["c"]}]}'
ANSWERS = f"""#!/bin/sh
echo '{WARNING}' >&2
echo '{PLAIN}' >&2
case "$*" in
  *"endpoint health"*) echo "x is healthy: successfully committed proposal: took = 2ms" ;;
  *"endpoint status"*) echo '{STATUS}' ;;
  *"endpoint hashkv"*) echo '[{{"Endpoint":"x","HashKV":{{"hash":1,"compact_revision":1}}}}]' ;;
  *"member list"*) echo '{MEMBERS}' ;;
  *"alarm list"*) ;;
  *"get --print-value-only"*) echo value ;;
  *--keys-only*-w\\ json*) echo '{{"header":{{}},"count":5}}' ;;
  *keys-only*) echo /registry/a ;;
  *get*-w\\ json*) echo '{{"header":{{}},"kvs":[]}}' ;;
  *txn*) cat >/dev/null; echo SUCCESS ;;
  *check\\ v2store*) echo "No custom content found in both v2store and WAL records." ;;
  *) echo OK ;;
esac
"""
QUESTIONS = {
    "await.sh": ({"endpoint": "x", "seconds": "0", "learner": ""}, [f"status {STATUS}"]),
    "others.sh": ({"endpoints": "x", "unwell": ""}, [f"status x {STATUS}"]),
    "serving.sh": ({"endpoints": "x", "seconds": "0"}, [f"status x {STATUS}"]),
    "status.sh": ({"endpoint": "x", "prefix": "/nowhere"}, [f"status {STATUS}"]),
    "authenticates.sh": ({"endpoint": "x"}, ["off"]),
    "across.sh": ({"beside": "x", "seconds": "1"}, ["across x yes"]),
    "reached.sh": ({"endpoints": "x"}, ["reached x"]),
    "alarms.sh": ({"endpoint": "x", "seconds": "0"}, ["listed"]),
    "disarm.sh": ({"endpoint": "x"}, ["disarmed"]),
    "compact.sh": ({"endpoint": "x", "seconds": "1", "revision": "2"}, ["compacted"]),
    "downgrade.sh": ({"endpoint": "x", "prefix": "/nowhere", "line": "3.5"}, ["agreed"]),
    "hashes.sh": (
        {"endpoints": "x"},
        ["revision 3", 'hashes [{"Endpoint":"x","HashKV":{"hash":1,"compact_revision":1}}]'],
    ),
    "gate-put.sh": ({"endpoint": "x", "name": "a", "value": "b"}, ["put"]),
    "gate-get.sh": ({"endpoint": "x", "name": "a"}, ["value value"]),
    "raft-snapshot.sh": (
        {"endpoint": "x", "data_dir": "/nowhere", "name": "a", "writes": "2"},
        ["snapshot none"],
    ),
    "move-leader.sh": ({"endpoint": "x", "heir": "7"}, ["moved"]),
    "restored.sh": ({"endpoint": "x", "revision": "2"}, ["keys 5"]),
    "kube-keys.sh": ({"endpoint": "x"}, ["key /registry/a", "asked /registry/", "asked /bootstrap/"]),
    "flannel-keys.sh": ({"endpoint": "x", "prefix": "/f"}, ['keys {"header":{},"kvs":[]}']),
    "flannel-put.sh": (
        {"endpoint": "x", "name": "/f/config", "literal": '"{}"', "revision": "0"},
        ["put SUCCESS ", 'keys {"header":{},"kvs":[]}'],
    ),
    "admit.sh": (
        {"endpoint": "x", "action": "list", "id": "", "name": "", "url": ""},
        [f"members {MEMBERS}"],
    ),
}


@pytest.mark.parametrize("fragment", QUESTIONS)
def test_an_etcdctl_that_warns_before_every_answer_is_understood(tmp_path: Path, fragment: str) -> None:
    (tmp_path / "etcdctl").write_text(ANSWERS)
    (tmp_path / "etcdctl").chmod(0o755)
    values, wanted = QUESTIONS[fragment]
    question = (
        script("ctl.sh", "newest.sh", fragment, bin_dir=str(tmp_path), ca="", cert="", key="", **values) + ""
    )
    question = question.replace("\nlistens() {", "\nlistens() { :; }\nports() {")
    done = subprocess.run(["sh", "-c", question], capture_output=True, text=True, check=False)
    told = done.stdout.splitlines()
    assert told == wanted or (fragment == "kube-keys.sh" and told[0] == wanted[0] and wanted[1] in told)


def test_every_fragment_that_asks_etcd_is_asked_here_or_in_a_test_of_its_own() -> None:
    asking = {
        path.name
        for path in (ROOT / "templates").glob("*.sh")
        if re.search(r"^[^#]*\b(ctl|become_ctl|healthy|hear) ", path.read_text(), re.MULTILINE)
    }
    # tests/unit: test_observed and below, test_shell, test_snapshot_job, test_drilling, test_gates, test_talk, test_survivors.
    elsewhere = {
        "ctl.sh", "probe.sh", "defragment.sh", "snapshot.sh", "drill.sh", "restore.sh", "v2store.sh",
        "survivor.sh",
        "peers.sh", "shown.sh", "flannel-ready.sh",
    }  # fmt: skip
    assert asking - elsewhere == set(QUESTIONS)
