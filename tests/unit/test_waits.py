"""What is promised about connections over which nothing comes any more, over a real server for SSH behind a cable that is cut."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    script = Path(__file__).with_name("silent_ssh.py")
    known = tmp_path_factory.mktemp("ssh") / "known"
    done = subprocess.run([sys.executable, script, known], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_host_whose_cable_is_cut_is_given_up_with_a_sentence_that_names_it(answers):
    assert answers["before"] == "here"
    assert answers["cut"].startswith("SilenceError: cut: found a connection that ended")
    assert answers["still cut"].startswith("SilenceError: cut: found no ")


def test_the_others_go_on(answers):
    assert answers["the other"] == "here"


def test_a_host_that_comes_back_is_connected_anew(answers):
    assert answers["back"] == "here"
    assert answers["trouble"] == ["", ""]


def test_a_command_that_says_nothing_on_a_host_that_is_there_has_the_whole_of_its_own_limit(answers):
    said, seconds = answers["slow"]
    assert said.startswith("SilenceError: whole: found no end of it within 4 s")
    assert seconds >= 4  # and not the second after which a silent connection is closed


def test_what_prints_without_an_end_is_given_up_and_the_connection_goes_on(answers):
    assert answers["flood"].startswith("SilenceError: found more than 1 MiB of output of one command")
    assert answers["after the flood"] == "here"
