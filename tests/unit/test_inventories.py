"""The example inventories say what the articles they come from say, without their mistakes."""

from __future__ import annotations

import ast
import ipaddress
from pathlib import Path

import pytest

from etcd_steward import flannel, kubeadm, versions
from etcd_steward.settings import Settings, read_settings
from etcd_steward.topology import Cluster, build_cluster, select_clusters
from tests.e2e import seeds

REPO = Path(__file__).resolve().parents[2]
FILES = sorted(path.stem for path in (REPO / "inventories").glob("*.py"))


def settings_of(name: str) -> dict[str, Settings]:
    """Read every host's settings, as a deploy does before it asks any host anything."""
    found = {}
    for host, data in seeds.read(name).items():
        settings, complaints = read_settings(host, data)
        assert not complaints, [str(complaint) for complaint in complaints]
        assert settings is not None
        found[host] = settings
    return found


def cluster_of(name: str) -> Cluster:
    settings = settings_of(name)
    chosen, complaints = select_clusters(settings, seeds.groups(name))
    assert not complaints, [str(complaint) for complaint in complaints]
    beside = set(settings) - set(seeds.groups(name)["etcd"])
    assert [set(hosts) for hosts in chosen.values()] == [set(settings) - beside]
    settings = {host: own for host, own in settings.items() if host not in beside}
    reach = {host: data.get("ssh_hostname") for host, data in seeds.read(name).items()}
    cluster, complaints = build_cluster(next(iter(chosen)), settings, {}, reach)
    assert not complaints, [str(complaint) for complaint in complaints]
    assert cluster is not None
    return cluster


def test_every_inventory_is_tried_here() -> None:
    assert set(FILES) == {*seeds.INVENTORIES, "demo"}


@pytest.mark.parametrize("name", FILES)
def test_an_inventory_makes_a_cluster_of_three_members_without_complaint(name: str) -> None:
    assert len(cluster_of(name).members) == 3


@pytest.mark.parametrize("name", seeds.INVENTORIES)
def test_an_example_installs_a_release_against_which_nothing_is_known(name: str) -> None:
    version = versions.parse(cluster_of(name).settings.etcd_version)
    assert [one for one in versions.judge_target(version) if one.cure or one.refuse] == []
    assert not cluster_of(name).settings.etcd_force_version


@pytest.mark.parametrize("name", seeds.INVENTORIES)
def test_an_example_uses_private_addresses_only(name: str) -> None:
    for data in seeds.read(name).values():
        assert ipaddress.ip_address(data["ssh_hostname"]).is_private


def test_no_two_inventories_share_a_cluster_name_and_so_a_folder_of_authorities() -> None:
    names = [cluster_of(name).name for name in FILES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", seeds.INVENTORIES)
def test_group_data_belongs_to_an_inventory(name: str) -> None:
    assert (REPO / "inventories/group_data" / f"{name}.py").exists()
    assert {path.stem for path in (REPO / "inventories/group_data").glob("*.py")} == set(seeds.INVENTORIES)


def test_the_pis_keep_the_articles_names_addresses_and_files() -> None:
    cluster = cluster_of("pi")
    assert cluster.initial_cluster == {
        f"x-k3s-m-{n}": (f"https://x-k3s-m-{n}.edge.huatai.me:2380",) for n in (1, 2, 3)
    }
    first = cluster.member("x-k3s-m-1")
    assert first.listen_client_urls == ("https://192.168.7.11:2379", "https://127.0.0.1:2379")
    wanted = {"x-k3s-m-1.edge.huatai.me", "x-k3s-m-1", "192.168.7.11", "127.0.0.1", "etcd.edge.huatai.me"}
    assert wanted <= set(first.certificate_names)
    paths = {
        kind: first.settings.certificate_path(kind, first.name)
        for kind in ("ca", "server", "peer", "peer_key")
    }
    assert paths == {
        "ca": "/etc/etcd/ca.pem",
        "server": "/etc/etcd/server.pem",
        "peer": "/etc/etcd/x-k3s-m-1.pem",
        "peer_key": "/etc/etcd/x-k3s-m-1-key.pem",
    }
    assert first.settings.config_path == "/etc/etcd/conf.yml"
    assert (first.settings.etcd_uid, first.settings.etcd_gid) == (1001, 1001)
    assert first.settings.etcd_config["snapshot-count"] == 10000


def test_the_centos_servers_keep_the_articles_layout_timers_and_clock() -> None:
    cluster = cluster_of("centos")
    assert {member.name: (member.host, member.address) for member in cluster.members} == {
        "etcd01": ("kube-10", "192.168.9.10"),
        "etcd02": ("kube-11", "192.168.9.11"),
        "etcd03": ("kube-13", "192.168.9.13"),
    }
    settings = cluster.settings
    folders = (
        settings.etcd_bin_dir,
        settings.etcd_data_dir,
        settings.etcd_cert_dir,
        settings.etcd_config_dir,
    )
    assert folders == tuple(f"/opt/etcd-3.4/{folder}" for folder in ("bin", "data", "ssl", "conf"))
    assert settings.etcd_config == {
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "max-request-bytes": 33554432,
        "quota-backend-bytes": 6442450944,
        "heartbeat-interval": 250,
        "election-timeout": 2000,
    }
    assert (settings.etcd_time_servers, settings.etcd_timezone) == (["ntp1.aliyun.com"], "Asia/Shanghai")


def test_the_ubuntu_servers_keep_the_articles_names_addresses_and_data_folder() -> None:
    cluster = cluster_of("ubuntu")
    assert {member.name: member.address for member in cluster.members} == {
        f"etcd-{n}": f"192.168.0.{99 + n}" for n in (1, 2, 3)
    }
    assert cluster.settings.etcd_data_dir == "/var/lib/etcd/default.etcd"


@pytest.mark.parametrize("path", sorted((REPO / "inventories").rglob("*.py")), ids=lambda path: path.stem)
def test_no_inventory_holds_a_mistake_of_its_article(path: Path) -> None:
    """Look at values, as comments may well name what is not done."""
    values = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    mistakes = {
        "enable-v2",
        "enable-pprof",
        "auto-tls",
        "strict-reconfig-check",
        "proxy",
        "force-new-cluster",
    }
    assert not mistakes & values
    assert not [value for value in values if isinstance(value, str) and value.startswith("http://")]


def test_the_k3s_servers_are_the_articles_three_pis_and_use_their_own_cluster() -> None:
    groups = seeds.groups("k3s")
    assert groups["k3s_servers"] == groups["etcd"] == [f"x-k3s-m-{n}" for n in (1, 2, 3)]
    for settings in settings_of("k3s").values():
        assert settings.etcd_client_of == settings.etcd_cluster == "k3s"
        assert settings.etcd_k3s_version is not None
        assert settings.etcd_k3s_token is None, "a token is no example"


def test_the_static_pods_keep_the_articles_names_addresses_and_files() -> None:
    cluster = cluster_of("static_pods")
    assert {member.name: member.address for member in cluster.members} == {
        f"etcd0{n}": f"10.107.88.{14 + n}" for n in (1, 2, 3)
    }
    settings = cluster.settings
    assert settings.manifest_path == "/etc/kubernetes/manifests/etcd.yaml"
    assert [
        settings.certificate_path(kind, "etcd01") for kind in ("ca", "peer_key", "client", "health_key")
    ] == [
        "/etc/kubernetes/pki/etcd/ca.crt",
        "/etc/kubernetes/pki/etcd/peer.key",
        "/etc/kubernetes/pki/apiserver-etcd-client.crt",
        "/etc/kubernetes/pki/etcd/healthcheck-client.key",
    ]
    assert (settings.etcd_container_runtime, settings.etcd_data_dir) == ("crio", "/var/lib/etcd")


def test_the_flannel_servers_keep_the_articles_network_and_folders_and_have_room_for_all() -> None:
    cluster = cluster_of("flannel")
    assert {member.name: member.address for member in cluster.members} == {
        "master": "192.168.27.135",
        "node1": "192.168.27.133",
        "node2": "192.168.27.134",
    }
    settings = cluster.settings
    assert settings.etcd_client_of == settings.etcd_cluster == "flannel"
    assert (
        flannel.as_text(flannel.configuration(settings))
        == '{"Network":"172.30.0.0/16","SubnetLen":21,"Backend":{"Type":"vxlan"}}'
    )
    assert flannel.capacity(settings) == 31
    assert (settings.etcd_bin_dir, settings.etcd_flannel_bin_dir) == ("/opt/k8s/bin", "/opt/k8s/bin")
    assert settings.etcd_flannel_cert_dir == "/etc/flanneld/cert"


def test_the_control_planes_are_the_articles_with_a_release_of_etcd_that_kubeadm_takes() -> None:
    settings = settings_of("kubernetes")
    assert seeds.groups("kubernetes")["control_planes"] == ["master01", "master02"]
    for host in ("master01", "master02"):
        own = settings[host]
        assert own.etcd_client_of == own.etcd_cluster
        assert (own.etcd_kubernetes_endpoint, own.etcd_kubernetes_pod_subnet) == (
            "10.107.88.9:6443",
            "10.244.0.0/16",
        )
        assert own.etcd_kubernetes_release is not None
        assert kubeadm.judge_etcd(own.etcd_kubernetes_release, versions.parse(own.etcd_version)) is None
        assert not own.etcd_kubernetes_init, "only when asked"
