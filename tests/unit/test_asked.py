"""Every program that a host is asked for tells its version, in the words that the real one knows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from etcd_steward.shell import script

# The words that a real program answers, and what it says (seen with the releases that are named); to all other words it
# ends with an error, as the real ones do.
ANSWERS = {
    "kubectl": ("version --client", "Client Version: v1.36.2\nKustomize Version: v5.8.0", "v1.36.2"),
    "kubeadm": ("version -o short", "v1.36.2", "v1.36.2"),
    "kubelet": ("--version", "Kubernetes v1.36.2", "v1.36.2"),
    "crictl": ("--version", "crictl version v1.36.0", "v1.36.0"),
    "crio": ("--version", "crio version 1.36.3\n  GitCommit: 0", "1.36.3"),
    "containerd": (
        "--version",
        "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1",
        "1.6.20",
    ),
    "etcd": ("--version", "etcd Version: 3.6.14\nGit SHA: 0\nGo Version: go1.24.9", "3.6.14"),
    "etcdctl": ("version", "etcdctl version: 3.6.14\nAPI version: 3.6", "3.6.14"),
    "etcdutl": ("version", "etcdutl version: 3.6.14\nAPI version: 3.6", "3.6.14"),
    "k3s": ("--version", "k3s version v1.34.2+k3s1 (0)\ngo version go1.24.9", "v1.34.2"),
}


@pytest.fixture
def stand_in(tmp_path):
    """Make a program that answers nothing but its own words, and warns on stderr before it does."""

    def make(words, told, stream=1):
        at = tmp_path / "program"
        at.write_text(
            f'#!/bin/sh\necho "warning: 9.9.9 is out" >&2\n'
            f'[ "$*" = "{words}" ] || {{ echo "error: unknown flag: $1" >&2; exit 1; }}\n'
            f"cat >&{stream} <<'.'\n{told}\n.\n"
        )
        at.chmod(0o755)
        return at

    return make


def ask(command, **more):
    return subprocess.run(
        ["sh", "-ec", script("asked.sh") + "\n" + command],
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


@pytest.mark.parametrize("name", ANSWERS)
def test_a_program_tells_its_version_and_no_warning_is_taken_for_it(stand_in, name):
    words, told, version = ANSWERS[name]
    at = stand_in(words, told)
    assert ask(f"told_version {name} {at}").stdout == f"{version}\n"
    judged = ask(f"runs {name} 1 {at}")
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")
    assert list(at.parent.iterdir()) == [at]


def test_flanneld_tells_its_version_on_stderr(tmp_path):
    at = tmp_path / "flanneld"
    at.write_text('#!/bin/sh\n[ "$1" = --version ] && echo v0.28.9 >&2\n')
    at.chmod(0o755)
    assert ask(f"told_version flanneld {at}").stdout == "v0.28.9\n"


def test_a_program_that_is_not_there_tells_nothing():
    asked = ask("told_version kubectl /nowhere/kubectl")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")


def test_a_program_that_knows_other_words_is_no_matter_of_the_architecture(stand_in):
    judged = ask(f"runs kubectl v1.36.2 {stand_in('version', 'kubectl')}")
    assert judged.returncode == 1
    assert "ends with status 1" in judged.stderr
    assert "version --client on the host" in judged.stderr
    assert "architecture" not in judged.stderr


@pytest.mark.parametrize("shell", ["sh", "busybox"])
def test_a_program_for_another_machine_is_told_as_such_by_every_shell(tmp_path, shell):
    words = ["busybox", "sh"] if shell == "busybox" else ["sh"]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not on this machine")
    head = bytearray(Path(sys.executable).resolve().read_bytes()[:64])
    head[18] ^= 0xFF  # e_machine
    at = tmp_path / "kubectl"
    at.write_bytes(head)
    at.chmod(0o755)
    judged = subprocess.run(
        [*words, "-ec", script("asked.sh") + f"\nruns kubectl v1.36.2 {at}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 1
    assert "found a kubectl v1.36.2 that is not made for this host" in judged.stderr


def test_a_program_that_may_not_be_started_sends_nobody_to_the_architecture(tmp_path):
    at = tmp_path / "kubectl"
    at.write_text("#!/nowhere/sh\n")
    at.chmod(0o755)
    judged = ask(f"runs kubectl v1.36.2 {at}")
    assert judged.returncode == 1
    assert "this host cannot start" in judged.stderr
    assert f"findmnt -T {at}" in judged.stderr
