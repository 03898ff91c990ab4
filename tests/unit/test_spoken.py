"""What a host answers: no name, argument or error that somebody else made begins a line of its own. Run for real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etcd_steward.facts.probe import questions
from etcd_steward.leftovers import FOLDER
from etcd_steward.parsing import parse_probe
from etcd_steward.settings import Settings
from etcd_steward.shell import script
from etcd_steward.templating import text

SHELLS = [
    words for words in (["dash"], ["sh"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])
]
STRANGER = 65534
ROOT = Path(__file__).parents[2]
ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
LIES = (
    "\netcd health yes",
    "\nend",
    "\nlock token x 1 2 etcd now me",
    "\rinterface eth0 203.0.113.66",
    "\ninterface eth0 203.0.113.66",
    "\nlistening 094B",
    "\nuid 0",
)


def shell(words, command, **more):
    return subprocess.run([*words, "-c", command + ""], capture_output=True, check=False, **more)


@settings(max_examples=60, deadline=None)
@given(ANY, st.sampled_from(SHELLS), st.sampled_from(["ctl.sh", "service.sh"]))
@example("aside /x\nend", ["sh"], "ctl.sh")
@example("-n\n\\n\\0end", ["sh"], "ctl.sh")
@example("\n\n", ["sh"], "service.sh")
def test_whatever_is_said_is_one_line(value, words, fragment):
    done = shell(words, f'{script(fragment, value=value) + ""}\nsay "word $value"')
    said = done.stdout.decode(errors="surrogateescape")
    assert said.startswith("word ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
    if value.isprintable():
        assert said == f"word {value}\n"


# Beside `say`: fixed words, and lines that were read as lines before they are written behind a word.
_HARMLESS = re.compile(
    r"echo end$|printf '\w+ %s\\n' \"\$text\"|echo \"\$pid\" && break|printf '%s\\n' \"\$unit\"|printf '%s' \"\$setting\""
)


def test_every_answer_is_written_by_the_one_word_that_writes_one_line():
    looks = [
        *(ROOT / "templates").glob("*-look.sh"),
        ROOT / "templates/probe.sh",
        ROOT / "templates/stopped.sh",
    ]
    assert len(looks) > 7
    for path in looks:
        for line in path.read_text().splitlines():
            if re.search(r"\b(?:echo|printf) ", line) and not line.startswith("#"):
                assert _HARMLESS.search(line), f"{path.name}: {line}"


def look(tmp_path, words, hostile):
    data, snapshots = tmp_path / "data", tmp_path / "snapshots"
    own = Settings().model_copy(
        update={
            "etcd_data_dir": str(data),
            "etcd_snapshot_dir": str(snapshots),
            "etcd_config_dir": f"{tmp_path}/conf",
            "etcd_cert_dir": f"{tmp_path}/pki",
            "etcd_prefix": f"{tmp_path}/releases",
            "etcd_bin_dir": f"{tmp_path}/bin",
        }
    )
    command = (questions(own, "n1") + "").replace(FOLDER, f"{tmp_path}/var/etcd-steward.")
    done = shell(words, command, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    lines = done.stdout.decode(errors="replace").split("\n")[:-1]
    assert done.stderr == b""
    return lines, parse_probe("n1", lines), hostile


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_d2_names_that_somebody_made_up_say_nothing_about_the_host(tmp_path, words):
    for folder in ("data", "snapshots", "var"):
        (tmp_path / folder).mkdir()
    clean, state, _ = look(tmp_path, words, "")
    assert (state.lock, state.endpoint.healthy, state.listening) == ("", False, ())
    for lie in LIES:
        for pattern in (
            "data/member.{}",
            "snapshots/.drill.{}",
            "var/etcd-steward.{}",
            "snapshots/.taking.{}",
        ):
            (tmp_path / pattern.format(lie)).mkdir()
    lines, state, _ = look(tmp_path, words, "hostile")
    assert state.reached
    assert (state.lock, state.endpoint.healthy, state.listening) == ("", False, ())
    words_of = {line.split(" ")[0] for line in lines}
    assert words_of - {line.split(" ")[0] for line in clean} <= {"aside", "left"}
    assert not any("203.0.113.66" in one.address for one in state.held)
    assert lines.count("end") == 1


def found(words, data="/nonexistent", user="root", before=""):
    done = shell(words, script("processes.sh", data_dir=data, user=user) + before + "\netcds")
    return {line.split(" ")[0]: line.split(" ")[1:] for line in done.stdout.decode().splitlines()}


@pytest.fixture
def etcd():
    """Give a program that is called etcd and waits; everybody may start it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        shutil.copy(shutil.which("dash") or "/bin/sh", f"{name}/etcd")
        yield f"{name}/etcd"


class Running:
    """Processes of a test."""

    def __init__(self):
        self.jobs = []

    def start(self, *words, **more):
        job = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)
        self.jobs.append(job)
        assert job.stdout
        assert job.stdout.readline() == b"on\n"
        return str(job.pid)


@pytest.fixture
def running():
    here = Running()
    yield here
    for job in here.jobs:
        job.communicate(b"")


WAIT = "echo on; read -r _"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start programs as others")
@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_d22_a_process_is_an_etcd_by_its_program_and_account_and_never_by_its_words(etcd, running, words):
    ours = running.start(etcd, "-c", WAIT, "etcd", "--config-file=/etc/etcd/conf.yml")
    apart = running.start(etcd, "-c", WAIT, "etcd", "--data-dir", "/x\nprocess 1 etcd", "--config-file", "/y")
    others = [
        running.start(
            etcd, "-c", WAIT, "etcd", "--data-dir=/x", user=STRANGER, group=STRANGER, extra_groups=[]
        ),
        running.start("sh", "-c", WAIT, "/root/backup/etcd", "--config-file=/x"),
        running.start("/opt/etcd/etcd", "-c", WAIT, "etcd", executable="/bin/sh"),
        running.start("./throw-away", "-c", WAIT, executable=etcd),
    ]
    # Of a program that its account cannot read /proc says that it is root's.
    Path(etcd).chmod(0o711)
    others.append(running.start(etcd, "-c", WAIT, user=STRANGER, group=STRANGER, extra_groups=[]))
    told = found(words)
    assert told[ours] == [etcd, "--config-file=/etc/etcd/conf.yml"]
    assert told[apart] == [etcd, "--config-file=/y"]
    assert not set(told) & set(others)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start programs as others")
def test_the_account_that_owns_the_data_is_one_of_those_that_count(etcd, running, tmp_path):
    pid = running.start(etcd, "-c", WAIT, user=STRANGER, group=STRANGER, extra_groups=[])
    assert pid not in found(["sh"])
    os.chown(tmp_path, STRANGER, STRANGER)
    assert pid in found(["sh"], data=str(tmp_path))
    assert pid in found(["sh"], user="nobody")


@pytest.mark.parametrize("question", ["was_given", "arguments"])
@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_an_etcd_that_ends_while_it_is_looked_at_is_not_told_by_what_could_still_be_read(
    etcd, running, words, question
):
    pid = running.start(etcd, "-c", WAIT, "etcd", "--config-file=/etc/etcd/conf.yml")
    # Its end comes right before the question: a process that is dead has no arguments.
    ends = f"\n{question}() {{ kill -9 {pid}; while grep -q . /proc/{pid}/cmdline; do :; done; }} 2>/dev/null"
    assert pid in found(words)
    assert pid not in found(words, before=ends)


def test_b40_no_question_about_processes_needs_ps():
    for path in (ROOT / "templates").glob("*"):
        assert not re.search(r"(?:^|[{;|&(]\s*)ps\s+-", path.read_text(), re.MULTILINE), path.name
    assert "etcds |" in text("probe.sh")
