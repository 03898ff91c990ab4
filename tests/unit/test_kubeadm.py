"""What is promised about kubeadm's configuration and about the releases of etcd that it takes."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward import kubeadm
from etcd_steward.settings import read_settings
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
    ],
)
def test_fields_that_kubeadm_would_pass_over_or_that_are_ours_are_refused(value, wanted):
    _, (complaint,) = read_settings("n1", {"etcd_kubernetes_config": value})
    assert wanted in complaint.wanted


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
    assert sorted(kubeadm.MINIMUM_ETCD) == [(1, minor) for minor in range(31, 37)]


def test_tools_are_found_beside_their_digests():
    found = kubeadm.program("kubelet", "v1.36.3", "arm64", None)
    assert found.url == "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kubelet"
    assert found.sums == f"{found.url}.sha256"
