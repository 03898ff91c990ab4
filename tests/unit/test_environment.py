"""Nothing of root's environment reaches what is asked and started on a host, unless it is the operator's own."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.facts.probe import questions
from etcd_steward.settings import Settings
from etcd_steward.shell import Script, guard, script
from etcd_steward.templating import render, text

HEAD = text("environment.sh")
PACKAGE = Path(__file__).parents[2]
HARMFUL = [
    *(f"{kind}_proxy" for kind in ("http", "https", "all", "no")),
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")),
    *("ETCDCTL_USER", "ETCDCTL_PASSWORD", "ETCDCTL_ENDPOINTS", "ETCDCTL_COMMAND_TIMEOUT", "ETCD_DATA_DIR"),
    *(
        "GODEBUG",
        "GOTRACEBACK",
        "GOGC",
        "GOMEMLIMIT",
        "GRPC_GO_LOG_SEVERITY_LEVEL",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ),
    *(
        "CDPATH",
        "ENV",
        "COLUMNS",
        "POSIXLY_CORRECT",
        "GREP_OPTIONS",
        "TAR_OPTIONS",
        "GZIP",
        "TMPDIR",
        "KUBECONFIG",
    ),
]
SHELLS = [shell for shell in ("sh", "dash", "bash --posix", "busybox ash") if shutil.which(shell.split()[0])]


def seen(command, environment, shell="sh"):
    done = subprocess.run(
        [*shell.split(), "-c", f"{command}"], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stderr == ""
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


@pytest.mark.parametrize("shell", SHELLS)
def test_what_harms_is_gone_and_the_rest_stays(shell):
    hostile = dict.fromkeys(HARMFUL, "http://127.0.0.1:9")
    found = seen(
        script("kept.sh") + "\nenv",
        {**hostile, "HOME": "/root", "MINE": "a", "PATH": os.environ["PATH"]},
        shell,
    )
    assert not set(found) & set(HARMFUL)
    assert (found["HOME"], found["MINE"], found["LC_ALL"]) == ("/root", "a", "C")


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["https_proxy", "ETCDCTL_USER", "GODEBUG", "OWN", "TZ"]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    )
)
def test_whatever_a_value_holds_it_is_not_run_and_the_operators_own_command_gets_it(values):
    whole = {**values, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["sh", "-c", script("kept.sh") + "\n(outside env -0)\n"], capture_output=True, check=True, env=whole
    )
    assert done.stderr == b""
    entries = dict(entry.partition(b"=")[::2] for entry in done.stdout.split(b"\0"))
    assert {name: entries[name.encode()].decode() for name in values} == values


def test_a_path_without_the_systems_folders_gets_them():
    shell = shutil.which("sh")
    done = subprocess.run(
        [shell, "-c", HEAD + 'echo "$PATH"'],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip().split(":")[:2] == ["/usr/bin", "/bin"]
    assert {"/usr/sbin", "/sbin", "/usr/local/sbin"} <= set(done.stdout.strip().split(":"))


def test_the_head_is_not_undone_by_a_second_one():
    """A command is put together of several scripts; the environment as it was is that before the first."""
    command = HEAD + script("kept.sh") + "\n(outside env)"
    assert seen(command, {"https_proxy": "a", "PATH": os.environ["PATH"]})["https_proxy"] == "a"


def test_every_script_begins_with_it():
    own = [
        script("put.sh", a=1),
        Script("any", "echo a"),
        questions(Settings(), "n1"),
        guard(),
    ]
    assert all((one + "").startswith(HEAD) for one in own)
    assert (Script("any", script("put.sh") + "") + "").count(HEAD) == 1


def test_no_module_reads_a_fragment_past_it():
    """`script`, `Script` and `guard` are the only ways from a fragment to a command."""
    for file in sorted(
        [*PACKAGE.glob("etcd_steward/*.py"), *PACKAGE.glob("operations/*.py"), *PACKAGE.glob("facts/*.py")]
    ):
        if file.name in {"shell.py", "templating.py"}:
            continue
        named = re.findall(r"""\btext\(['"]([\w.-]+\.sh)['"]\)""", file.read_text())
        # Only what stands behind a `guard` in the same command, or is run by the login, which is not root.
        assert set(named) <= {"enter.sh", "left.sh", "put.sh"}, file


def test_the_operators_own_proxy_reaches_what_fetches_and_what_he_brings():
    assert "outside /usr/lib/apt/apt-helper" in text("apt-key.sh")
    assert "hear outside bounded" in text("snapshot.sh")


@pytest.mark.parametrize(("words", "kept"), [((), False), (("--endpoints=https://far:2379",), True)])
def test_etcdctl_in_a_login_shell_asks_members_without_a_proxy_and_others_with_it(tmp_path, words, kept):
    tool = tmp_path / "etcdctl"
    tool.write_text('#!/bin/sh\necho "proxy ${https_proxy-none}"\n')
    tool.chmod(0o755)
    profile = render(
        "etcdctl.sh.j2", endpoints=["https://n1:2379"], bin_dir=tmp_path, ca="a", cert="b", key="c"
    )
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "https_proxy": "http://127.0.0.1:9"}
    command = f"{profile}\netcdctl {' '.join(words)}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == ("proxy http://127.0.0.1:9" if kept else "proxy none")
