"""A host is made fit for static pods, and only where it is not."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from etcd_steward import crio
from etcd_steward.kubelet import program
from etcd_steward.node import Lack, complaints, lacking, node_files, node_packages, repositories
from etcd_steward.observed import File, HostState, Process, Service
from etcd_steward.parsing import parse_probe
from etcd_steward.repositories import definition, needed
from etcd_steward.settings import Settings, read_settings
from etcd_steward.shell import script
from etcd_steward.topology import Member
from etcd_steward.work import ROLES, leaf_spec

CONFIG = "/etc/kubernetes/kubelet-etcd.yaml"
CONTAINERD = "/etc/containerd/config.toml"


def settings(**changes: Any) -> Settings:
    found, wrong = read_settings("n1", {"etcd_runtime": "static_pod", "etcd_address": "10.0.0.1", **changes})
    assert not wrong, wrong
    assert found is not None
    return found


def fit(**changes: Any) -> HostState:
    """Describe a host that lacks nothing."""
    node = {
        "module": ("overlay", "br_netfilter"),
        "sysctl": (
            "net.bridge.bridge-nf-call-iptables=1",
            "net.bridge.bridge-nf-call-ip6tables=1",
            "net.ipv4.ip_forward=1",
        ),
        "program": ("kubelet", "crio"),
        "packaged-unit": ("kubelet.service",),
        "unit": ("kubelet.service", "crio.service"),
        "cgroup": ("v2",),
    }
    state = HostState("n1", reached=True, uid=0, init="systemd", os_id="rocky", os_like="rhel", node=node)
    files = {
        file.path: File(file.sha256, file.mode, file.owner, ours=True)
        for file in node_files(settings(), state)
    }
    return replace(state, files=files, **changes)


def without(state: HostState, word: str, value: str) -> HostState:
    left = tuple(one for one in state.node.get(word, ()) if one != value)
    return replace(state, node={**state.node, word: left})


def said(state: HostState, **changes: Any) -> str:
    own = settings(**changes)
    return "; ".join(map(str, complaints(Member("n1", "n1", "10.0.0.1", "10.0.0.1", own), state)))


def content(path: str, state: HostState | None = None, **changes: Any) -> str:
    (found,) = [file for file in node_files(settings(**changes), state or fit()) if file.path == path]
    return found.content


def test_a_host_that_has_all_lacks_nothing() -> None:
    assert not lacking(settings(), fit()).anything
    assert said(fit()) == ""


def test_a_host_of_services_is_left_alone() -> None:
    service, _ = read_settings("n1", {"etcd_address": "10.0.0.1"})
    assert service is not None
    assert not lacking(service, HostState("n1", reached=True, uid=0)).anything


@pytest.mark.parametrize(
    ("word", "value", "told"),
    [
        ("module", "br_netfilter", ["br_netfilter"]),
        ("sysctl", "net.ipv4.ip_forward=1", ["net.ipv4.ip_forward"]),
        ("unit", "kubelet.service", ["kubelet.service"]),
    ],
)
def test_each_thing_that_is_missing_is_told(word: str, value: str, told: list[str]) -> None:
    assert lacking(settings(), without(fit(), word, value)).told() == told


def test_swap_counts_while_it_is_on_or_would_come_back() -> None:
    state = fit()
    assert lacking(settings(), replace(state, node={**state.node, "swap": ("at boot",)})).told() == ["swap"]


def test_the_configuration_of_kubelet_is_the_one_that_was_tried_with_a_real_one() -> None:
    assert yaml.safe_load(content(CONFIG)) == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "systemd",
        "address": "127.0.0.1",
        "containerRuntimeEndpoint": "unix:///var/run/crio/crio.sock",
        "staticPodPath": "/etc/kubernetes/manifests",
    }
    other = yaml.safe_load(content(CONFIG, etcd_fail_cgroup_v1=False, etcd_container_runtime="containerd"))
    assert other["failCgroupV1"] is False
    assert other["containerRuntimeEndpoint"] == "unix:///run/containerd/containerd.sock"


def test_the_drop_in_replaces_the_command_of_the_package() -> None:
    lines = content("/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf").splitlines()
    assert lines[1:] == [
        "[Service]",
        "ExecStart=",
        f"ExecStart=/usr/bin/kubelet --config={CONFIG}",
        "Restart=always",
    ]


def test_a_unit_of_ours_is_there_only_where_no_package_brings_one() -> None:
    own = "/etc/systemd/system/kubelet.service"
    bare = replace(fit(), node={**fit().node, "packaged-unit": ()})
    assert own not in {file.path for file in node_files(settings(), fit())}
    assert own in {file.path for file in node_files(settings(), bare)}
    arriving = without(bare, "program", "kubelet")
    assert own not in {file.path for file in node_files(settings(), arriving)}


@pytest.mark.parametrize(
    ("told", "version"), [("1.6.20~ds1", 2), ("1.7.24", 2), ("", 2), ("v2.1.9", 3), ("2.0.5", 3)]
)
def test_containerd_gets_a_configuration_of_the_version_that_it_reads(told: str, version: int) -> None:
    state = replace(fit(), node={**fit().node, "containerd": (told,)})
    text = content(
        CONTAINERD, state, etcd_container_runtime="containerd", etcd_pause_image="a.example.org/pause:3.10"
    )
    assert f"\nversion = {version}\n" in text
    plugin = "io.containerd.cri.v1.runtime" if version == 3 else "io.containerd.grpc.v1.cri"
    assert f"[plugins.'{plugin}'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n" in text
    assert ("\nsandbox = " if version == 3 else "\nsandbox_image = ") in text
    images = "io.containerd.cri.v1.images" if version == 3 else plugin
    registry = tomllib.loads(text)["plugins"][images]["registry"]
    assert registry == {"config_path": "/etc/containerd/certs.d"}, "mirrors are the operator's own"
    assert tomllib.loads(text)["imports"] == ["/etc/containerd/conf.d/*.toml"]


def _debian(**node: tuple[str, ...]) -> HostState:
    return replace(fit(), os_id="debian", os_like="", node={**fit().node, **node})


@pytest.mark.parametrize(
    ("state", "folder"),
    [
        (_debian(), "/usr/lib/cni"),  # it is about to be installed
        (
            _debian(**{"program": ("kubelet", "containerd"), "packaged-config": ("containerd",)}),
            "/usr/lib/cni",
        ),
        (_debian(program=("kubelet", "containerd")), None),  # one of somebody else's
        (fit(), None),
    ],
)
def test_debians_containerd_goes_on_to_find_plugins_where_its_package_has_them(
    state: HostState, folder: str | None
) -> None:
    plugins = tomllib.loads(content(CONTAINERD, state, etcd_container_runtime="containerd"))["plugins"]
    assert plugins["io.containerd.grpc.v1.cri"].get("cni", {}).get("bin_dir") == folder


@pytest.mark.parametrize("at", ["/usr/bin/kubelet", "/usr/local/bin/kubelet"])
def test_what_replaces_the_command_of_a_unit_names_the_program_that_is_there(at: str) -> None:
    path = "/etc/systemd/system/kubelet.service.d/20-etcd-service-manager.conf"
    state = replace(fit(), node={**fit().node, "kubelet-at": (at,)})
    assert f"\nExecStart={at} --config=" in content(path, state)
    assert "\nExecStart=/usr/bin/kubelet " in content(path, state, etcd_kubelet_version="v1.36.3")


def test_a_configuration_that_was_written_before_containerd_came_is_kept() -> None:
    before = replace(fit(), node={**fit().node, "containerd": ("",)})
    text = content(CONTAINERD, before, etcd_container_runtime="containerd")
    (file,) = [
        one
        for one in node_files(settings(etcd_container_runtime="containerd"), before)
        if one.path == CONTAINERD
    ]
    after = replace(
        before,
        node={**before.node, "containerd": ("v2.1.9",)},
        files={CONTAINERD: File(file.sha256, file.mode, file.owner, ours=True)},
    )
    assert content(CONTAINERD, after, etcd_container_runtime="containerd") == text


def test_crio_keeps_cgroups_as_kubelet_does_and_takes_the_pause_image() -> None:
    text = content("/etc/crio/crio.conf.d/20-etcd-steward.conf", etcd_pause_image="a.example.org/pause:3.10")
    assert '[crio.runtime]\ncgroup_manager = "systemd"\n' in text
    assert '[crio.image]\npause_image = "a.example.org/pause:3.10"\n' in text


def test_repositories_are_those_of_the_minor_version_and_signatures_are_checked() -> None:
    kubernetes, crio = repositories(settings(etcd_kubernetes_version="1.35"))
    assert definition(kubernetes, "dnf").content.splitlines()[1:] == [
        "[kubernetes]",
        "name=Kubernetes",
        "baseurl=https://pkgs.k8s.io/core:/stable:/v1.35/rpm/",
        "enabled=1",
        "gpgcheck=1",
        "gpgkey=https://pkgs.k8s.io/core:/stable:/v1.35/rpm/repodata/repomd.xml.key",
        "exclude=kubelet kubeadm kubectl cri-tools kubernetes-cni",
    ]
    assert crio.url == "https://download.opensuse.org/repositories/isv:/cri-o:/stable:/v1.35"
    assert "exclude" not in definition(crio, "dnf").content


@pytest.mark.parametrize(
    ("programs", "wanted"),
    [
        (("kubelet", "crio"), ["kubernetes", "cri-o"]),
        (("kubelet",), ["kubernetes"]),
        (("crio",), ["cri-o"]),
        (("kubelet", "containerd"), ["kubernetes"]),
        (("containerd",), []),
    ],
)
@pytest.mark.parametrize("manager", ["apt", "dnf"])
def test_only_repositories_that_a_package_comes_from_are_added(
    programs: tuple[str, ...], wanted: list[str], manager: str
) -> None:
    packages = node_packages(Lack(programs=programs), manager)
    assert [one.name for one in needed(repositories(settings()), packages)] == wanted


@pytest.mark.parametrize("package", ["kubelet", "kubelet=1.36.3-*", "kubelet-1.36.3"])
def test_a_package_with_its_release_comes_from_the_same_repository(package: str) -> None:
    assert [one.name for one in needed(repositories(settings()), [package])] == ["kubernetes"]
    assert needed(repositories(settings()), ["kubelet-tools", "crio"]) == []


def test_a_mirror_takes_the_place_of_kubernetes_own_repository_and_a_way_out_is_named() -> None:
    own = settings(etcd_kubernetes_repository="https://mirror.example.org/k8s/")
    kubernetes, crio = repositories(own)
    assert definition(kubernetes, "apt").content.splitlines()[1:] == [
        "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.asc] https://mirror.example.org/k8s/v1.37/deb/ /"
    ]
    named = set(re.findall(r"etcd_\w+", f"{kubernetes.cure} {crio.cure}"))
    assert named <= set(Settings.model_fields)
    assert {"etcd_kubelet_version", "etcd_crio_version"} <= named


def test_packages_bring_what_is_missing_and_no_more() -> None:
    bare = without(without(fit(), "program", "crio"), "program", "kubelet")
    assert node_packages(lacking(settings(), bare), "apt") == ["kubelet", "cri-tools", "cri-o"]
    lack = lacking(settings(), without(fit(), "program", "crio"))
    assert node_packages(lack, "dnf") == ["container-selinux", "cri-o"]


@pytest.mark.parametrize(
    ("changes", "data", "told"),
    [
        ({"init": "openrc"}, {}, "found OpenRC, wanted systemd"),
        ({"bare": True}, {"etcd_node_packages": "present"}, "found no kubelet, no crio"),
        ({"bare": True, "os_id": "arch", "os_like": ""}, {}, "wanted one with apt or dnf"),
        ({"bare": True}, {"etcd_container_runtime": "containerd"}, "found no containerd"),
        ({"cgroup": "v1"}, {}, "found cgroup v1"),
    ],
)
def test_what_forbids_static_pods_is_said_before_anything_is_changed(
    changes: dict[str, Any], data: dict[str, Any], told: str
) -> None:
    state = fit(**{key: value for key, value in changes.items() if key in {"init", "os_id", "os_like"}})
    if changes.get("bare"):
        state = replace(state, node={**state.node, "program": ()})
    if "cgroup" in changes:
        state = replace(state, node={**state.node, "cgroup": (changes["cgroup"],)})
    assert told in said(state, **data)


def test_kubelet_is_not_given_another_folder_or_runtime_under_a_running_member() -> None:
    running = replace(
        fit(),
        processes=(Process(4711, "etcd", "/var/lib/etcd"),),
        service=Service(exists=True, running=True, definition="/etc/kubernetes/manifests/etcd.yaml"),
    )
    assert said(running) == ""
    assert "found a pod that runs in crio" in said(running, etcd_container_runtime="containerd")
    elsewhere = replace(running, service=Service(exists=True, running=True))
    assert "found etcd (process 4711) running, and no /etc/kubelet.d/etcd.yaml" in said(
        elsewhere, etcd_manifest_dir="/etc/kubelet.d"
    )


MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"


@pytest.mark.parametrize(
    ("lines", "running", "enabled", "word"),
    [
        (
            ["Process=7", "Kubelet=active", f"Manifest={MANIFEST}", "UnitFileState=enabled"],
            True,
            True,
            "running",
        ),
        (
            ["Process=7", "Kubelet=inactive", f"Manifest={MANIFEST}"],
            True,
            False,
            "running (kubelet inactive)",
        ),
        (["Process=7", "Kubelet=active", "Parked=x"], True, False, "stopping"),
        (["Kubelet=active", f"Manifest={MANIFEST}", "UnitFileState=enabled"], True, True, "starting"),
        (["Kubelet=failed", f"Manifest={MANIFEST}"], False, False, "stopped (kubelet failed)"),
        (["Kubelet=active", "Parked=x"], False, False, "stopped"),
        (["Kubelet=unknown"], False, False, "absent"),
    ],
)
def test_what_kubelet_makes_of_a_member_is_told_in_a_word(
    lines: list[str], running: bool, enabled: bool, word: str
) -> None:
    told = ["probe 1", "now 1", "uid 0", "machine x86_64", "boot b", "init systemd", "free 1 /"]
    service = parse_probe("n1", [*told, *(f"service {line}" for line in lines), "end"]).service
    assert (service.running, service.enabled, service.word) == (running, enabled, word)
    assert service.exists == (word != "absent")


def test_kubelet_as_a_program_is_linked_and_needs_no_package() -> None:
    own = {"etcd_kubelet_version": "v1.36.3"}
    bare = without(fit(), "program", "kubelet")
    lack = lacking(settings(**own), bare)
    assert (lack.programs, lack.kubelet) == ((), "/opt/kubernetes/v1.36.3/kubelet")
    assert said(bare, etcd_node_packages="present", **own) == ""
    linked = replace(fit(), node={**fit().node, "kubelet": ("/opt/kubernetes/v1.36.3/kubelet",)})
    assert lacking(settings(**own), linked).kubelet == ""
    assert lacking(settings(), linked).kubelet == ""


def test_kubelet_is_published_where_kubernetes_publishes_it() -> None:
    found = program("v1.36.3", "arm64")
    assert found.url == "https://dl.k8s.io/v1.36.3/bin/linux/arm64/kubelet"
    assert found.sums == "https://dl.k8s.io/v1.36.3/bin/linux/arm64/kubelet.sha256"


def test_certificates_bear_the_names_that_kubeadm_gives_them() -> None:
    member = Member("n1", "etcd01", "10.0.0.1", "10.0.0.1", settings(etcd_node_name="node-1"))
    names = {role: leaf_spec(member, role).common_name for role in ROLES}
    assert names == {
        "server": "node-1",
        "peer": "node-1",
        "client": "kube-apiserver-etcd-client",
        "health": "kube-etcd-healthcheck-client",
    }
    wanted = {"node-1", "localhost", "10.0.0.1", "127.0.0.1", "::1"}
    assert wanted <= set(leaf_spec(member, "server").names)
    assert wanted <= set(leaf_spec(member, "peer").names)


def test_crio_as_a_bundle_needs_no_package_and_no_repository_until_another_release_is_wanted() -> None:
    own = {"etcd_crio_version": "v1.36.3"}
    bare = without(fit(), "program", "crio")
    lack = lacking(settings(**own), bare)
    assert (lack.programs, lack.bundle, lack.told()[0]) == ((), "v1.36.3", "cri-o v1.36.3")
    assert said(bare, etcd_node_packages="present", **own) == ""
    there = replace(fit(), node={**fit().node, "bundle": ("v1.36.2", "v1.36.3")})
    assert not lacking(settings(**own), there).anything
    assert lacking(settings(etcd_crio_version="v1.36.4"), there).bundle == "v1.36.4"
    assert lacking(settings(), there).bundle == ""


@pytest.mark.parametrize("arriving", ["bundle", "package"])
def test_what_comes_from_elsewhere_may_write_over_our_files_so_all_are_written_after_it(
    arriving: str,
) -> None:
    own = settings(**({"etcd_crio_version": "v1.36.4"} if arriving == "bundle" else {}))
    state = fit() if arriving == "bundle" else without(fit(), "program", "crio")
    lack = lacking(own, state)
    assert {file.path for file in lack.files} == {file.path for file in node_files(own, state)}
    assert "/etc/crictl.yaml" in {file.path for file in lack.files}


def test_crio_is_published_where_its_project_publishes_it() -> None:
    at = "https://storage.googleapis.com/cri-o/artifacts/cri-o.arm64.v1.36.3.tar.gz"
    found = crio.program("v1.36.3", "arm64")
    assert (found.url, found.sums) == (at, f"{at}.sha256sum")
    assert crio.program("v1.36.3", "amd64", "https://m.example.org/").url == (
        "https://m.example.org/cri-o.amd64.v1.36.3.tar.gz"
    )


def test_kubelet_starts_without_a_word_where_there_is_no_check_yet(tmp_path: Path) -> None:
    lines = content("/etc/systemd/system/kubelet.service.d/30-etcd-steward.conf").splitlines()
    (before,) = [line for line in lines if line.startswith("ExecStartPre=")]
    check = tmp_path / "check"
    command = shlex.split(
        before.removeprefix("ExecStartPre=-").replace("/etc/etcd-steward/etcd-start", str(check))
    )
    none = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "")
    check.write_text('echo "$1"')
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "boot\n"


def test_b19_a_containerd_configuration_of_somebody_else_is_refused_with_its_keys_and_the_way_out() -> None:
    path = "/etc/containerd/config.toml"
    lines = (f"file {path}", f'key plugins."io.containerd.grpc.v1.cri".registry.config_path {path}')
    lines += (f"key root {path}", f"key version {path}", f"key imports {path}")
    state = replace(fit(), node={**fit().node, "beside": lines})
    told = said(state, etcd_container_runtime="containerd")
    assert (
        "n1: found /etc/containerd/config.toml of somebody else (imports, root, plugins.io.containerd" in told
    )
    assert f"`mv {path} {path}.before` on this host" in told
    assert "/etc/containerd/conf.d/*.toml" in told
    assert said(state) == "", "CRI-O has a drop-in of its own"
    unread = replace(fit(), node={**fit().node, "beside": (f"file {path}", f"unread {path}")})
    assert "(it cannot be read)" in said(unread, etcd_container_runtime="containerd")
    bare = replace(fit(), node={**fit().node, "beside": (f"file {path}", f"key version {path}")})
    assert "somebody else" not in said(bare, etcd_container_runtime="containerd")


PACKAGED = (
    'version = 2\n[plugins]\n  [plugins."io.containerd.grpc.v1.cri".cni]\n    bin_dir = "/usr/lib/cni"\n'
)
DEFAULTS = 'version = 3\nroot = "/var/lib/containerd"\n\n[x]\n  SystemdCgroup = false\n'
THEIRS = 'version = 2\nroot = "/data"\n'


@pytest.mark.parametrize(
    "words",
    [words for words in (["dash"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, []),
        (PACKAGED, []),
        (DEFAULTS, []),
        (DEFAULTS.replace("= false", "= true").replace("  ", "\t"), []),
        (f"# Written by etcd-steward; changes here are overwritten.\n{THEIRS}", []),
        (THEIRS, ["file", "key root", "key version"]),
        (f"{PACKAGED}root = 1\n", ["file", "key plugins.", "key plugins.", "key version"]),
        (DEFAULTS.replace("/var/lib", "/data"), ["file", "key root", "key version", "key x.SystemdCgroup"]),
    ],
)
def test_what_a_package_or_containerd_itself_makes_is_nobodys_work(
    tmp_path: Path, words: list[str], content: str | None, told: list[str]
) -> None:
    path = tmp_path / "etc/containerd/config.toml"
    for folder in (path.parent, tmp_path / "bin", tmp_path / "var/lib/dpkg"):
        folder.mkdir(parents=True)
    digest = hashlib.md5(PACKAGED.encode()).hexdigest()
    (tmp_path / "var/lib/dpkg/status").write_text(f"Package: containerd\nConffiles:\n {path} {digest}\n")
    (tmp_path / "bin/containerd").write_text(
        f"#!/bin/sh\n[ \"$*\" = 'config default' ] && cat {tmp_path}/defaults\n"
    )
    (tmp_path / "bin/containerd").chmod(0o755)
    (tmp_path / "defaults").write_text(DEFAULTS)
    if content is not None:
        path.write_text(content)
    look = script(
        "service.sh", "asked.sh", "swappers.sh", "neighbours.sh", "node-look.sh", modules=[], sysctls=[],
        container_runtime="containerd", beside_as="node ",
    )  # fmt: skip
    command = (look + "\nlook_at_node").replace("/etc/containerd", f"{tmp_path}/etc/containerd")
    command = command.replace("/var/lib/dpkg/status", f"{tmp_path}/var/lib/dpkg/status")
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        [*words, "-c", command], capture_output=True, text=True, check=True, env=environment
    )
    found = [line.removeprefix("node beside ") for line in done.stdout.splitlines() if "node beside" in line]
    assert [line[: len(begin)] for line, begin in zip(found, told, strict=False)] == told
    assert len(found) == len(told)


def test_a_drop_in_of_crio_after_ours_that_keeps_cgroups_otherwise_is_refused() -> None:
    folder = "/etc/crio/crio.conf.d"
    state = replace(
        fit(), node={**fit().node, "cgroupfs": (f"{folder}/10-crio.conf", f"{folder}/30-own.conf")}
    )
    told = said(state)
    assert told.count("found") == 1
    assert (
        f'n1: found cgroup_manager = "cgroupfs" in {folder}/30-own.conf, which is read after {folder}/20-'
        in told
    )
    assert "`systemctl restart crio`" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('[crio.runtime]\n  cgroup_manager = "cgroupfs"\n', True),
        ("crio.runtime.cgroup_manager='cgroupfs'\n", True),
        ('[crio.runtime]\n# cgroup_manager = "cgroupfs"\ncgroup_manager = "systemd"\n', False),
    ],
)
def test_how_a_drop_in_of_crio_keeps_cgroups_is_seen(tmp_path: Path, content: str, told: bool) -> None:
    (tmp_path / "30-own.conf").write_text(content)
    look = script(
        "service.sh", "asked.sh", "swappers.sh", "neighbours.sh", "node-look.sh", modules=[], sysctls=[],
        container_runtime="crio", beside_as="node ",
    )  # fmt: skip
    command = (look + "\nlook_at_node").replace("/etc/crio/crio.conf.d", str(tmp_path))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert (f"node cgroupfs {tmp_path}/30-own.conf" in done.stdout.splitlines()) is told
