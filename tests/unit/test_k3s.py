"""What is promised about k3s' files, its token, and the kernel command line of a Raspberry Pi."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward import k3s
from etcd_steward.settings import read_settings
from etcd_steward.shell import script
from etcd_steward.templating import render

SERVER = k3s.Server(
    ("https://10.0.0.1:2379", "https://10.0.0.2:2379", "https://[fd00::3]:2379"),
    "/etc/rancher/k3s/etcd/ca.crt",
    "/etc/rancher/k3s/etcd/client.crt",
    "/etc/rancher/k3s/etcd/client.key",
    "0123456789abcdef",
    ("k3s.edge.huatai.me",),
    "10.0.0.1",
    {"disable": ["traefik"], "write-kubeconfig-mode": "0600", "debug": True},
)
TOKENS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=80)

# Lines as they came with the systems: Raspberry Pi OS bookworm and buster, Ubuntu 24.04, Alpine 3.20 from its boot
# partition and installed on a disk.
LINES = {
    "bookworm": "console=serial0,115200 console=tty1 root=PARTUUID=4e639091-02 rootfstype=ext4 fsck.repair=yes rootwait quiet splash plymouth.ignore-serial-consoles cfg80211.ieee80211_regdom=GB\n",
    "buster": "console=serial0,115200 console=tty1 root=PARTUUID=738a4d67-02 rootfstype=ext4 elevator=deadline fsck.repair=yes rootwait\n",
    "ubuntu": "console=serial0,115200 multipath=off dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable rootfstype=ext4 rootwait fixrtc\n",
    "alpine": "modules=loop,squashfs,sd-mod,usb-storage quiet console=tty1",
    "alpine-disk": "root=/dev/mmcblk0p2 modules=sd-mod,usb-storage,ext4 quiet rootfstype=ext4\n",
}
ADDED = ["cgroup_enable=cpuset", "cgroup_memory=1", "cgroup_enable=memory"]


def test_the_configuration_says_what_k3s_reads_and_nothing_else():
    assert yaml.safe_load(k3s.config(SERVER)) == {
        "datastore-endpoint": "https://10.0.0.1:2379,https://10.0.0.2:2379,https://[fd00::3]:2379",
        "datastore-cafile": "/etc/rancher/k3s/etcd/ca.crt",
        "datastore-certfile": "/etc/rancher/k3s/etcd/client.crt",
        "datastore-keyfile": "/etc/rancher/k3s/etcd/client.key",
        "token": "0123456789abcdef",
        "tls-san": ["k3s.edge.huatai.me"],
        "node-ip": "10.0.0.1",
        "disable": ["traefik"],
        "write-kubeconfig-mode": "0600",
        "debug": True,
    }


@settings(max_examples=30)
@given(
    token=TOKENS,
    more=st.dictionaries(
        st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True),
        st.text() | st.integers() | st.booleans() | st.lists(st.text()),
    ),
)
def test_whatever_is_accepted_is_read_back_as_it_was_given(token, more):
    _, complaints = read_settings("n1", {"etcd_k3s_token": token, "etcd_k3s_config": more})
    if complaints:
        return
    server = k3s.Server((), "a", "b", "c", token, more=more)
    read = yaml.safe_load(k3s.config(server))
    assert {key: read[key] for key in ("token", *more)} == {"token": token, **more}


@pytest.mark.parametrize(
    "token", ["123e4567", "00000000", "yes:no: x".replace(" ", ""), "0x1234567", "#comment", "!!python"]
)
def test_a_token_stays_a_text_for_every_reader(token):
    line = next(
        line
        for line in k3s.config(k3s.Server((), "", "", "", token)).splitlines()
        if line.startswith("token")
    )
    assert line == f'token: "{token}"'


def test_a_token_is_not_shown_by_what_carries_it():
    assert "0123456789abcdef" not in repr(SERVER)


@pytest.mark.parametrize(
    "value", ["short", "with space", 12345678, "line\nbreak", "é" * 20, ["0123456789abcdef"]]
)
def test_a_wrong_token_is_refused_without_being_shown(value):
    _, (complaint,) = read_settings("n1", {"etcd_k3s_token": value})
    assert str(complaint).startswith("n1: found etcd_k3s_token = a value that is not shown, wanted ")
    assert str(value) not in str(complaint)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"token": "0123456789abcdef"}, "other keys than token"),
        ({"cluster-init": True}, "other keys than cluster-init"),
        ({"Disable": ["traefik"]}, "keys that are long flags of `k3s server`"),
        ({"disable": {"traefik": True}}, "a list of these for disable"),
        ({"node-label": "a\nb"}, "a list of these for node-label"),
        ({"kubelet-arg": None}, "a list of these for kubelet-arg"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused(value, wanted):
    _, (complaint,) = read_settings("n1", {"etcd_k3s_config": value})
    assert wanted in complaint.wanted


@pytest.mark.parametrize("value", ["1.34.2", "v1.34+k3s1", "latest", "v1.34.2+rke2r1", "stable"])
def test_a_release_that_is_none_of_k3s_is_refused(value):
    _, (complaint,) = read_settings("n1", {"etcd_k3s_version": value})
    assert complaint.wanted == "a release of k3s such as v1.37.1+k3s1"


@pytest.mark.parametrize(("arch", "name"), [("amd64", "k3s"), ("arm64", "k3s-arm64"), ("arm", "k3s-armhf")])
def test_a_program_is_found_in_githubs_layout(arch, name):
    found = k3s.program(k3s.parse_release("1.34.2+k3s1"), arch, "https://mirror.example.org/k3s/")
    assert found.url == f"https://mirror.example.org/k3s/v1.34.2%2Bk3s1/{name}"
    assert found.sums == f"https://mirror.example.org/k3s/v1.34.2%2Bk3s1/sha256sum-{arch}.txt"
    upstream = k3s.program("v1.34.2+k3s1", arch, None)
    assert upstream.url == f"https://github.com/k3s-io/k3s/releases/download/v1.34.2%2Bk3s1/{name}"


@pytest.mark.parametrize(
    "token", ["0123456789abcdef", f"K10{'ab' * 32}::server:0123456789abcdef", "server:0123456789abcdef"]
)
def test_the_key_of_a_token_is_the_one_that_k3s_uses(token):
    assert k3s.storage_key(token) == f"/bootstrap/{hashlib.sha256(b'0123456789abcdef').hexdigest()[:12]}"


OURS = k3s.storage_key("0123456789abcdef")


@pytest.mark.parametrize(
    ("keys", "token", "found"),
    [
        ([], None, None),
        ([], "0123456789abcdef", None),
        ([OURS, "/registry/health"], "0123456789abcdef", None),
        ([OURS, "/bootstrap/000000000000"], "0123456789abcdef", None),
        (["/registry/health"], "0123456789abcdef", "keys of another Kubernetes"),
        (["/registry/health"], None, "keys of another Kubernetes"),
        ([OURS, "/registry/health"], None, "no token of it here"),
        ([OURS], "another-token", "a k3s with another token"),
    ],
)
def test_a_cluster_is_shared_with_no_other_kubernetes(keys, token, found):
    reason = k3s.reason_against_sharing(keys, token)
    assert (reason is None) == (found is None)
    assert found is None or found in reason[0]


@pytest.mark.parametrize("name", LINES)
def test_the_kernel_command_line_of_a_pi_gets_the_cgroups_once_and_keeps_all_else(name):
    before = LINES[name]
    after = k3s.command_line(before)
    assert after.split() == [*before.split(), *ADDED]
    assert after.endswith("\n")
    assert after.count("\n") == 1
    assert k3s.command_line(after) == after


def test_only_the_words_that_are_missing_are_added():
    before = f"{LINES['ubuntu'].strip()} cgroup_enable=memory cgroup_memory=1\n"
    assert k3s.command_line(before) == f"{before.strip()} cgroup_enable=cpuset\n"


@given(st.lists(st.from_regex(r"[a-z0-9_=,./:-]{1,20}", fullmatch=True) | st.sampled_from(ADDED), min_size=1))
def test_any_command_line_keeps_its_words_in_order_and_is_the_same_the_second_time(words):
    line = " ".join(words)
    try:
        after = k3s.command_line(line)
    except ValueError:
        return
    assert after.split()[: len(words)] == words
    assert set(ADDED) <= set(after.split())
    assert k3s.command_line(after) == after


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 lines"),
        (
            "DO NOT EDIT THIS FILE\n\nThe file you are looking for has moved to /boot/firmware/cmdline.txt\n",
            "2 lines",
        ),
        ("root=/dev/sda1 cgroup_disable=memory\n", "cgroup_disable=memory on the kernel's command line"),
    ],
)
def test_what_is_no_command_line_or_forbids_it_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        k3s.command_line(text)


def test_the_notice_that_bookworm_leaves_behind_is_not_looked_at_first():
    assert k3s.COMMAND_LINES.index("/boot/firmware/cmdline.txt") < k3s.COMMAND_LINES.index(
        "/boot/cmdline.txt"
    )


@pytest.mark.parametrize("after", ["", "etcd"])
def test_the_openrc_script_is_right_shell(after, tmp_path):
    text = render(
        "k3s.initd.j2",
        cluster="pi",
        program="/usr/local/bin/k3s",
        noting="/etc/etcd-steward/k3s-note",
        after=after,
    )
    (tmp_path / "k3s").write_text(text)
    # SC2034: variables that openrc-run reads. SC1091: files of the host. SC3045: what busybox and dash know beyond POSIX.
    judge = [
        str(Path(sys.executable).with_name("shellcheck")),
        "-s",
        "sh",
        "-e",
        "SC2034,SC1091,SC3045",
        str(tmp_path / "k3s"),
    ]
    assert subprocess.run(judge, capture_output=True, text=True, check=False).stdout == ""
    assert subprocess.run(["sh", "-n", tmp_path / "k3s"], check=False).returncode == 0
    for line in ("supervisor=supervise-daemon", "respawn_max=0", 'command_args="server"', "\twant cgroups"):
        assert f"{line}\n" in text


def test_the_unit_says_what_k3s_own_installer_says():
    text = render(
        "k3s.service.j2",
        cluster="pi",
        program="/usr/local/bin/k3s",
        noting="/etc/etcd-steward/k3s-note",
        after="etcd.service",
    )
    lines = set(text.splitlines())
    assert {
        "Type=notify", "KillMode=process", "Delegate=yes", "LimitNOFILE=1048576", "TasksMax=infinity", "TimeoutStartSec=0",
        "Restart=always", "RestartSec=5s", "ExecStartPre=-/sbin/modprobe br_netfilter", "ExecStartPre=-/sbin/modprobe overlay",
        "ExecStart=/usr/local/bin/k3s server", "After=network-online.target etcd.service",
    } <= lines  # fmt: skip


def run(*parts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", "\n".join(parts)], capture_output=True, text=True, check=False)


def test_a_boot_file_is_copied_once_before_it_is_written(tmp_path):
    file = tmp_path / "cmdline.txt"
    for text in ("first\n", "second\n"):
        file.write_text(text)
        done = run(script("boot.sh", file=str(file)) + "", "close_boot")
        assert (done.returncode, done.stderr) == (0, "")
        assert file.read_text() == text
    assert (tmp_path / "cmdline.txt.before-etcd-steward").read_text() == "first\n"


def test_what_k3s_was_started_with_differs_as_soon_as_a_file_or_the_program_does(tmp_path):
    (tmp_path / "config").write_text("a\n")
    (tmp_path / "program").symlink_to(tmp_path / "config")
    noted = script(
        "k3s-noted.sh",
        reads=[str(tmp_path / "config"), str(tmp_path / "none")],
        program=str(tmp_path / "program"),
    )
    first = run(noted + "", "noted").stdout
    assert first.splitlines() == [
        f"{hashlib.sha256(b'a' + bytes([10])).hexdigest()} {tmp_path}/config",
        f"{tmp_path}/config",
    ]
    (tmp_path / "config").write_text("b\n")
    assert run(noted + "", "noted").stdout != first


def test_k3s_answers_to_the_names_of_tools_that_the_host_lacks(tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "kubectl").write_text("#!/bin/sh\n")
    (tools / "kubectl").chmod(0o755)
    (tools / "ln").symlink_to("/bin/ln")
    done = run(script("k3s-links.sh", bin_dir=str(tmp_path), PATH=str(tools)) + "")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_symlink()) == ["crictl", "ctr"]
    assert str((tmp_path / "ctr").readlink()) == "k3s"
