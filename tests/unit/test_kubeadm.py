"""What is promised about kubeadm's configuration and about the releases of etcd that it takes."""

import os
import subprocess
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward import kubeadm
from etcd_steward.settings import read_settings
from etcd_steward.shell import script
from etcd_steward.versions import NEWEST, parse
from etcd_steward.yaml_text import is_plain, yaml_text

PLANE = kubeadm.ControlPlane(
    "v1.36.3",
    "10.107.88.9:6443",
    ("https://10.107.88.15:2379", "https://10.107.88.16:2379", "https://10.107.88.17:2379"),
    ("test.example.poc",),
    "10.244.0.0/16",
)
# Typed by hand from kubeadm's reference of v1beta4, for the article's cluster.
CLUSTER = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "ClusterConfiguration",
    "kubernetesVersion": "v1.36.3",
    "controlPlaneEndpoint": "10.107.88.9:6443",
    "apiServer": {"certSANs": ["test.example.poc"]},
    "etcd": {
        "external": {
            "endpoints": [
                "https://10.107.88.15:2379",
                "https://10.107.88.16:2379",
                "https://10.107.88.17:2379",
            ],
            "caFile": "/etc/kubernetes/pki/etcd/ca.crt",
            "certFile": "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "keyFile": "/etc/kubernetes/pki/apiserver-etcd-client.key",
        }
    },
    "networking": {"podSubnet": "10.244.0.0/16"},
}
VALUES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.integers(-(2**62), 2**62) | st.booleans()
    | st.sampled_from(["12e4", "no", "0x1f", "~", "1_000", "2026-11-21", "10:20:30", "", "=", "<<", "# x", "- a", "a: b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=6) | st.sampled_from(["y", "no", "name"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def test_the_configuration_is_what_the_article_has_in_todays_form():
    first, cluster = yaml.safe_load_all(kubeadm.config(PLANE))
    assert first == {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "InitConfiguration"}
    assert cluster == CLUSTER


def test_cgroup_v1_is_allowed_to_kubelet_and_in_the_preflight_alike_or_nowhere():
    first, cluster, kubelet = yaml.safe_load_all(kubeadm.config(replace(PLANE, fail_cgroup_v1=False)))
    assert first["nodeRegistration"] == {"ignorePreflightErrors": ["SystemVerification"]}
    assert cluster == CLUSTER
    assert kubelet == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
    }


def test_what_is_said_of_the_node_stands_in_the_init_configuration():
    plane = replace(
        PLANE,
        node_name="master01",
        advertise_address="10.107.88.18",
        cri_socket="unix:///var/run/crio/crio.sock",
        service_subnet="10.96.0.0/12",
    )
    first, cluster = yaml.safe_load_all(kubeadm.config(plane))
    assert first["nodeRegistration"] == {"name": "master01", "criSocket": "unix:///var/run/crio/crio.sock"}
    assert first["localAPIEndpoint"] == {"advertiseAddress": "10.107.88.18"}
    assert cluster["networking"] == {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12"}


def test_further_fields_are_added_and_take_nothing_away():
    more = {
        "clusterName": "poc",
        "networking": {"dnsDomain": "poc.local", "podSubnet": "192.168.0.0/16"},
        "apiServer": {"extraArgs": [{"name": "audit-log-maxage", "value": "7"}]},
    }
    _, cluster = yaml.safe_load_all(kubeadm.config(replace(PLANE, more=more)))
    assert cluster == CLUSTER | {
        "clusterName": "poc",
        "networking": {"podSubnet": "10.244.0.0/16", "dnsDomain": "poc.local"},
        "apiServer": CLUSTER["apiServer"] | {"extraArgs": [{"name": "audit-log-maxage", "value": "7"}]},
    }


@settings(max_examples=60)
@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4))
def test_whatever_can_be_written_is_read_back_the_same(value):
    if is_plain(value):
        assert yaml.safe_load(yaml_text(value)) == (value or None)


def test_a_key_stays_a_text_too():
    assert yaml_text({"true": 1, "no": 2, "etcd": 3}) == '"true": 1\n"no": 2\netcd: 3\n'


@pytest.mark.parametrize("value", ["12e4", "no", "0x1f", "1.36"])
def test_a_text_stays_a_text_for_readers_of_older_yaml(value):
    assert yaml_text({"name": value}) == f'name: "{value}"\n'
    assert yaml_text({"name": [value]}) == f'name:\n  - "{value}"\n'


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"etcd": {"local": {}}}, "other fields than etcd"),
        ({"kubernetesVersion": "v1.30.0"}, "other fields than kubernetesVersion"),
        ({"apiserver": {}}, "ClusterConfiguration, such as apiServer"),
        ({"apiServer": {"extraArgs": {"v": "2"}}}, "as extraArgs of apiServer"),
        ({"clusterName": "a\nb"}, "for clusterName"),
        ({"dns": {"x": 1.5}}, "for dns"),
        # As kubeadm 1.36.2 refuses them, see kubeadm-validate-variants.
        (
            {"apiServer": {"extraArgs": [{"name": "profiling", "value": False}]}},
            "texts as values of extraArgs",
        ),
        ({"scheduler": {"extraArgs": [{"name": "v", "value": 2}]}}, "texts as values of extraArgs"),
        ({"apiServer": {"certSAN": ["a"]}}, "such as certSANs, and no certSAN"),
        (
            {"apiServer": {"extraVolumes": [{"name": "a", "hostPath": "/a", "hostpath": "/b"}]}},
            "fields of apiServer.extraVolumes[0] that v1beta4 has, such as hostPath",
        ),
        ({"apiServer": {"extraEnvs": {"name": "a"}}}, "a list as apiServer.extraEnvs"),
        ({"networking": {"podNetwork": "a"}}, "fields of networking that v1beta4 has"),
        ({"proxy": True}, "a dictionary as proxy"),
        ({"encryptionAlgorithm": "RSA-1"}, "one of ECDSA-P256, ECDSA-P384, RSA-2048"),
    ],
)
def test_fields_that_kubeadm_would_pass_over_or_that_are_ours_are_refused(value, wanted):
    _, (complaint,) = read_settings("n1", {"etcd_kubernetes_config": value})
    assert wanted in complaint.wanted


@pytest.mark.parametrize(
    "value",
    [
        {"apiServer": {"extraArgs": [{"name": "profiling", "value": "false"}], "certSANs": ["a"]}},
        {
            "apiServer": {
                "extraVolumes": [{"name": "a", "hostPath": "/a", "mountPath": "/a", "readOnly": True}]
            }
        },
        {"scheduler": {"extraEnvs": [{"name": "a", "value": "b"}]}},
        {"dns": {"imageTag": "v1"}, "proxy": {"disabled": True}, "networking": {"dnsDomain": "a.example"}},
        {"encryptionAlgorithm": "ECDSA-P384", "featureGates": {"A": True}},
    ],
)
def test_fields_of_v1beta4_are_taken_at_any_depth(value):
    found, complaints = read_settings("n1", {"etcd_kubernetes_config": value})
    assert complaints == []
    assert found.etcd_kubernetes_config == value


SIZE = [{"name": "node-cidr-mask-size", "value": "28"}]
SIZE6 = [{"name": "node-cidr-mask-size-ipv6", "value": "80"}]
OFF = [{"name": "allocate-node-cidrs", "value": "false"}]


@pytest.mark.parametrize(
    ("subnet", "arguments", "taken"),
    [
        ("10.244.0.0/16", [], True),
        ("10.244.0.0/24", [], True),
        ("10.244.0.0/26", [], False),
        ("10.244.0.0/26", SIZE, True),
        ("10.0.0.0/8", SIZE, False),
        ("10.244.0.0/26", OFF, True),
        ("fd00::/48", [], True),
        ("fd00::/40", [], False),
        ("10.244.0.0/16,fd00::/64", [], True),
        ("10.244.0.0/16,fd00::/65", [], False),
        ("10.244.0.0/16,fd00::/65", SIZE6, True),
    ],
)
def test_every_node_can_get_a_part_of_the_pods_network(subnet, arguments, taken):
    data = {"etcd_kubernetes_pod_subnet": subnet, "etcd_address": "10.0.0.1"}
    data["etcd_kubernetes_config"] = {"controllerManager": {"extraArgs": arguments}} if arguments else {}
    _, wrong = read_settings("n1", data)
    assert (wrong == []) is taken


def refuse(tmp_path, says, ends, earlier=None):
    """Let a stand-in for kubeadm judge a configuration."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "kubeadm").write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {ends}\n")
    (tools / "kubeadm").chmod(0o755)
    config = tmp_path / "config.yaml"
    config.write_text("new\n")
    if earlier:
        (tmp_path / "config.yaml.before").write_text(earlier)
    command = script("kubeadm-validate.sh", config=str(config)) + ""
    path = f"{tools}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-ec", command], capture_output=True, text=True, check=False, env={"PATH": path}
    )


@pytest.mark.parametrize("earlier", [None, "earlier\n"])
def test_a_configuration_that_kubeadm_refuses_never_takes_its_place(tmp_path, earlier):
    says = 'error: strict decoding error: unknown field "apiServer.certSAN"'
    done = refuse(tmp_path, f"W1128 a warning\n{says}", 1, earlier)
    assert done.returncode == 1
    assert says in done.stderr
    assert "warning" not in done.stderr
    assert (tmp_path / "config.yaml.refused").read_text() == "new\n"
    left = tmp_path / "config.yaml"
    assert (left.read_text() if left.exists() else None) == earlier


def test_a_configuration_that_kubeadm_takes_stays(tmp_path):
    done = refuse(tmp_path, "W1128 a warning", 0, "earlier\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"tools", "config.yaml"}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("10.107.88.9:6443", "10.107.88.9:6443"),
        ("api.example.org", "api.example.org:6443"),
        ("[fd00::9]:443", "[fd00::9]:443"),
        ("[fd00::9]", "[fd00::9]:6443"),
    ],
)
def test_an_endpoint_has_a_port(value, read):
    assert kubeadm.parse_endpoint(value) == read


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("etcd_kubernetes_endpoint", value)
            for value in (
                "https://api:6443",
                "api:0",
                "api:65536",
                "fd00::9",
                "[10.0.0.1]",
                "a b",
                ":6443",
                "",
            )
        ),
        *(
            ("etcd_kubernetes_pod_subnet", value)
            for value in ("10.244.0.0", "10.244.0.1/16", "10.0.0.0/8,10.1.0.0/16", "x", "")
        ),
        *(("etcd_kubernetes_release", value) for value in ("stable", "1.36", "v1.30.9", "1.27.6-0", 1.36)),
        ("etcd_kubernetes_install", "pip"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_in_a_sentence(key, value):
    _, (complaint,) = read_settings("n1", {key: value})
    assert complaint.found.startswith(f"{key} = ")
    assert complaint.wanted


@pytest.mark.parametrize(
    ("kubernetes", "etcd", "taken"),
    [
        ("v1.36.3", "3.5.16", False),
        ("v1.36.3", "3.5.23", False),
        ("v1.36.3", "3.5.24", True),
        ("v1.31.14", "3.5.23", False),
        ("v1.31.14", "3.5.30", True),
        ("v1.36.3", "3.6.14", True),
        ("v1.40.0", "3.5.23", False),
        ("v1.36.3", "3.4.44", False),
    ],
)
def test_a_release_of_etcd_that_kubeadm_refuses_is_told_with_the_way_out(kubernetes, etcd, taken):
    reason = kubeadm.judge_etcd(kubernetes, parse(etcd))
    assert (reason is None) == taken
    if reason is not None:
        assert reason[1] == "3.5.24 or later"
        assert reason[2] == f"run deploys/upgrade.py with --data etcd_version={NEWEST['3.5']}"


def test_every_line_of_kubernetes_that_was_read_has_its_minimum():
    assert sorted(kubeadm.MINIMUM_ETCD) == [(1, minor) for minor in range(31, 38)]


def test_tools_are_found_beside_their_digests():
    found = kubeadm.program("kubelet", "v1.36.3", "arm64", None)
    assert found.url == "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kubelet"
    assert found.sums == f"{found.url}.sha256"
