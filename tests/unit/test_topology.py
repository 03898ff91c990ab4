"""Members, names and URLs; ids against those that real releases of etcd computed."""

import ipaddress
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etcd_steward.addresses import Held, is_address_or_name, url
from etcd_steward.settings import read_settings
from etcd_steward.topology import build_cluster, cluster_id, member_id, select_clusters, unfit_names
from etcd_steward.versions import DEFAULT

HEADS = json.loads((Path(__file__).parents[1] / "data" / "wal-heads.json").read_text())
NAMED = [pytest.param(head, id=f"{head['release']}-{head['kind']}") for head in HEADS]


def own(host, **data):
    settings, complaints = read_settings(host, data)
    assert settings is not None, complaints
    return settings


def build(hosts, found=None, connect_to=None):
    held = {
        host: [Held(name, address) for name, address in addresses.items()]
        for host, addresses in (found or {}).items()
    }
    settings = {host: own(host, **data) for host, data in hosts.items()}
    return build_cluster("etcd", settings, held, connect_to or {})


def one(host="n1", found=None, connect_to=None, **data):
    cluster, complaints = build(
        {host: data}, {host: found} if found else None, {host: connect_to} if connect_to else None
    )
    assert cluster is not None, complaints
    return cluster.members[0]


def complain(hosts, found=None, connect_to=None):
    cluster, complaints = build(hosts, found, connect_to)
    assert cluster is None
    return list(map(str, complaints))


def choose(hosts, groups=None):
    settings = {host: own(host, **data) for host, data in hosts.items()}
    chosen, complaints = select_clusters(settings, groups or {"etcd": list(hosts)})
    return chosen, list(map(str, complaints))


@pytest.mark.parametrize("head", NAMED)
def test_the_ids_are_those_that_etcd_computes_from_token_and_urls(head):
    ids = {name: member_id([address], head["token"]) for name, address in head["peer_urls"].items()}
    assert f"{ids[head['name']]:x}" == head["member_id"]
    assert f"{cluster_id(ids.values()):x}" == head["cluster_id"]


def test_another_token_gives_other_ids():
    urls = ["https://192.168.7.11:2380"]
    assert member_id(urls, "pi-1") != member_id(urls, "pi-2")


@pytest.mark.parametrize(
    ("address", "peer", "client"),
    [
        ("192.168.7.11", "https://192.168.7.11:2380", "https://192.168.7.11:2379"),
        ("fd00::11", "https://[fd00::11]:2380", "https://[fd00::11]:2379"),
        ("FD00:0:0::0011", "https://[fd00::11]:2380", "https://[fd00::11]:2379"),
        ("::1", "https://[::1]:2380", "https://[::1]:2379"),
        ("etcd01.example.org", "https://etcd01.example.org:2380", "https://etcd01.example.org:2379"),
        ("Etcd01.Example.ORG", "https://etcd01.example.org:2380", "https://etcd01.example.org:2379"),
    ],
)
def test_f38_and_f39_urls_have_brackets_around_ipv6_and_small_letters_in_names(address, peer, client):
    member = one(etcd_address=address)
    assert (member.peer_url, member.client_url) == (peer, client)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_f38_every_address_gives_a_url_that_can_be_read_back(address, port):
    parts = urlsplit(url(str(address), port))
    assert (ipaddress.ip_address(parts.hostname), parts.port, parts.scheme) == (address, port, "https")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "[::1]", "10.0.0.1:2379", "300.1.1.1", "1.2.3", "fe80::1%eth0", "a..b", "-a", "a-", "a b"),
        *("https://a", "a/b", "x" * 64, "é.example.org", "a\n"),
    ],
)
def test_what_is_no_address_is_no_address(text):
    assert not is_address_or_name(text)


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_is_not(text):
    assert is_address_or_name(text) in {True, False}


def test_a_dns_name_is_advertised_and_every_address_is_listened_on():
    member = one(etcd_address="etcd01.example.org")
    assert member.listen_peer_url == "https://0.0.0.0:2380"
    assert member.listen_client_urls == ("https://0.0.0.0:2379",)


def test_an_address_is_listened_on_and_loopback_beside_it():
    member = one(etcd_address="192.168.7.11")
    assert member.listen_peer_url == "https://192.168.7.11:2380"
    assert member.listen_client_urls == ("https://192.168.7.11:2379", "https://127.0.0.1:2379")


def test_loopback_is_of_the_family_that_is_listened_on():
    member = one(etcd_address="fd00::11")
    assert member.loopback_url == "https://[::1]:2379"
    assert member.listen_client_urls == ("https://[fd00::11]:2379", "https://[::1]:2379")


def test_a_member_on_loopback_listens_there_once():
    assert one(etcd_address="127.0.0.1").listen_client_urls == ("https://127.0.0.1:2379",)


def test_a_listen_address_is_bound_while_another_is_advertised():
    member = one(etcd_address="203.0.113.7", etcd_listen_address="10.0.0.7")
    assert member.peer_url == "https://203.0.113.7:2380"
    assert member.listen_peer_url == "https://10.0.0.7:2380"


def test_an_interface_gives_the_address():
    member = one(etcd_interface="eth1", found={"eth0": "10.0.0.7", "eth1": "192.168.7.11"})
    assert (member.address, member.listen) == ("192.168.7.11", "192.168.7.11")


def test_an_interface_is_listened_on_where_a_name_is_advertised():
    member = one(etcd_address="etcd01.example.org", etcd_interface="eth1", found={"eth1": "192.168.7.11"})
    assert member.client_url == "https://etcd01.example.org:2379"
    assert member.listen_peer_url == "https://192.168.7.11:2380"


def test_an_interface_that_is_not_there_is_told_with_those_that_are():
    (complaint,) = complain(
        {"n1": {"etcd_interface": "eth7"}}, {"n1": {"lo0": "10.0.0.1", "eth0": "10.0.0.2"}}
    )
    assert (
        complaint == "n1: found interfaces eth0, lo0, wanted an address on eth7; next: correct etcd_interface"
    )


def test_the_address_of_the_connection_serves_where_nothing_else_is_said():
    assert one(connect_to="192.168.7.11").address == "192.168.7.11"


def test_a_name_of_the_connection_is_no_address():
    (complaint,) = complain({"n1": {}}, None, {"n1": "pi-1"})
    assert complaint == (
        "n1: found no address for the member, wanted an IP address or a DNS name; next: set etcd_address or etcd_interface"
    )


def test_the_member_is_called_like_the_host_without_its_connector():
    assert one("@docker/n1", etcd_address="10.0.0.1").name == "n1"
    assert one("@docker/n1", etcd_address="10.0.0.1", etcd_name="etcd01").name == "etcd01"


def test_members_are_sorted_by_name_so_that_a_reordered_inventory_changes_nothing():
    hosts = {
        f"h{number}": {"etcd_name": name, "etcd_address": f"10.0.0.{number}"}
        for number, name in enumerate("cab", 1)
    }
    forward, _ = build(hosts)
    backward, _ = build(dict(reversed(hosts.items())))
    assert [member.name for member in forward.members] == ["a", "b", "c"]
    assert forward == backward
    assert forward.initial_cluster == {
        "a": ("https://10.0.0.2:2380",),
        "b": ("https://10.0.0.3:2380",),
        "c": ("https://10.0.0.1:2380",),
    }
    assert forward.endpoints == ["https://10.0.0.2:2379", "https://10.0.0.3:2379", "https://10.0.0.1:2379"]


def test_f39_two_members_whose_names_differ_only_in_capitals_are_refused():
    complaints = complain(
        {
            "h1": {"etcd_name": "Etcd01", "etcd_address": "10.0.0.1"},
            "h2": {"etcd_name": "etcd01", "etcd_address": "10.0.0.2"},
        }
    )
    assert complaints == [
        "h1: found the member name Etcd01 twice, wanted a name for each; next: set etcd_name",
        "h2: found the member name etcd01 twice, wanted a name for each; next: set etcd_name",
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [("10.0.0.1", "10.0.0.1"), ("fd00::1", "FD00:0::1"), ("n1.example.org", "N1.example.org")],
)
def test_two_members_with_one_address_are_refused_however_it_is_written(first, second):
    complaints = complain({"h1": {"etcd_address": first}, "h2": {"etcd_address": second}})
    assert complaints == [
        f"h1: found the address {first} twice, wanted an address for each; next: set etcd_address",
        f"h2: found the address {second} twice, wanted an address for each; next: set etcd_address",
    ]


def test_everything_that_is_wrong_is_told_at_once():
    complaints = complain({"h1": {}, "h2": {"etcd_address": "10.0.0.2"}, "h3": {"etcd_address": "10.0.0.2"}})
    assert [complaint.partition(":")[0] for complaint in complaints] == ["h1", "h2", "h3"]


def test_a_host_of_no_cluster_is_not_found_in_it():
    cluster, _ = build({"n1": {"etcd_address": "10.0.0.1"}})
    with pytest.raises(KeyError):
        cluster.member("n2")


def test_the_certificate_has_every_name_once():
    member = one(
        "@ssh/Node1.example.org",
        etcd_address="Etcd01.Example.ORG",
        etcd_listen_address="10.0.0.1",
        etcd_extra_names=["etcd.example.org", "10.0.0.1", "FD00::0:1", "localhost"],
    )
    assert member.certificate_names == (
        *("etcd01.example.org", "10.0.0.1", "node1.example.org", "localhost", "127.0.0.1", "::1"),
        *("etcd01", "node1", "etcd.example.org", "fd00::1"),
    )


def test_a_certificate_never_names_every_address_nor_what_is_no_name():
    member = one(etcd_address="etcd01.example.org", etcd_name="under_score.7")
    assert "0.0.0.0" not in member.certificate_names
    assert all(map(is_address_or_name, member.certificate_names))


def test_two_clusters_live_in_one_inventory():
    hosts = {
        f"{cluster}{number}": {"etcd_cluster": cluster} for cluster in ("a", "b") for number in (1, 2, 3)
    }
    assert choose(hosts) == ({"a": ["a1", "a2", "a3"], "b": ["b1", "b2", "b3"]}, [])


def test_only_hosts_of_the_group_are_members():
    chosen, complaints = choose({"n1": {}, "web": {}}, {"etcd": ["n1"], "web": ["web"]})
    assert (chosen, complaints) == ({"etcd": ["n1"]}, [])


def test_another_group_can_be_named():
    hosts = {"n1": {"etcd_inventory_group": "etcd_pi"}, "web": {}}
    assert choose(hosts, {"etcd_pi": ["n1"], "web": ["web"]}) == ({"etcd": ["n1"]}, [])


def test_an_inventory_without_the_group_is_refused():
    assert choose({"n1": {}}, {"web": ["n1"]}) == (
        {},
        [
            "inventory: found no host in the group etcd, wanted the members in that group; next: name the list of hosts in the inventory `etcd`, or set etcd_inventory_group",
        ],
    )


@pytest.mark.parametrize(("count", "quorum"), [(2, 2), (4, 3), (6, 4)])
def test_f41_an_even_number_of_members_is_refused_with_its_arithmetic(count, quorum):
    _, complaints = choose({f"n{number}": {} for number in range(count)})
    assert complaints == [
        f"etcd: found {count} members, wanted an odd number: {count} members need {quorum} alive and bear no more losses than {count - 1}; next: add or take away a host, or set etcd_allow_even = True",
    ]


def test_f41_an_even_number_is_accepted_where_that_is_wanted():
    assert choose({"n1": {"etcd_allow_even": True}, "n2": {"etcd_allow_even": True}})[1] == []


@pytest.mark.parametrize("count", [1, 3, 5])
def test_an_odd_number_of_members_is_accepted(count):
    assert choose({f"n{number}": {} for number in range(count)})[1] == []


@pytest.mark.parametrize(
    ("key", "value", "other"),
    [
        ("etcd_version", str(DEFAULT), "3.5.30"),
        ("etcd_client_port", 2379, 4001),
        ("etcd_config", {}, {"heartbeat-interval": 150}),
        ("etcd_pki_dir", "pki", "/srv/pki"),
    ],
)
def test_f41_settings_of_the_whole_cluster_that_differ_between_its_hosts_are_refused(key, value, other):
    _, complaints = choose({"n1": {}, "n2": {key: other}, "n3": {}})
    assert complaints == [
        f"n2: found {key} = {other!r}, wanted {value!r} as on n1; next: set {key} once, for all of etcd"
    ]


@pytest.mark.parametrize(
    "data", [{"etcd_name": "x"}, {"etcd_data_dir": "/srv/etcd"}, {"etcd_extra_names": ["a.example.org"]}]
)
def test_settings_of_one_host_may_differ(data):
    assert choose({"n1": data, "n2": {}, "n3": {}})[1] == []


@given(st.one_of(st.text(max_size=70), st.from_regex(r"[A-Za-z0-9._-]{1,66}", fullmatch=True)))
@example("küche")
@example("a'; reboot #")
@example("$(id)")
@example("a,b")
@example("n1\n")
@example("%n")
def test_a_final_name_is_judged_by_the_rule_of_the_setting_whichever_way_it_came_in(name):
    _, wrong = read_settings("n1", {"etcd_name": name})
    told = unfit_names({"n1": name})
    assert bool(told) == bool(wrong)
    assert all("; next: set etcd_name to " in str(one) for one in told)
    assert all(str(one).isprintable() for one in told)
