"""An address at which nobody is reached is none, and a name with a star is one for certificates alone."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.addresses import Held, is_address_or_name, is_loopback, is_wildcard, nobodys
from etcd_steward.settings import read_settings
from etcd_steward.topology import build_cluster
from etcd_steward.trial import matches
from etcd_steward.work import leaf_spec

NOBODYS = [
    "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.255", "ff02::1", "255.255.255.255", "fe80::1",
    "::ffff:0.0.0.0", "::ffff:224.0.0.1",
]  # fmt: skip
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost", "LocalHost.", "n1.localhost"]
HOSTS = [
    "192.0.2.7",
    "198.51.100.7",
    "2001:db8::7",
    "10.0.0.1",
    "fd00::1",
    "169.254.7.7",
    "100.64.0.1",
    "n1.example.org",
]


def told(key, value):
    return [str(one) for one in read_settings("n1", {key: value})[1]]


@pytest.mark.parametrize("value", NOBODYS)
@pytest.mark.parametrize(
    "key",
    ["etcd_address", "etcd_extra_names", "etcd_time_servers", "etcd_k3s_node_ip", "etcd_kubernetes_advertise_address",
     "etcd_flannel_iface", "etcd_kubernetes_cert_sans", "etcd_k3s_tls_san", "etcd_kubernetes_endpoint", "etcd_listen_address"],
)  # fmt: skip
def test_d25_what_is_no_hosts_address_is_refused_with_what_it_is(key, value):
    listed = key in {"etcd_extra_names", "etcd_time_servers", "etcd_kubernetes_cert_sans", "etcd_k3s_tls_san"}
    endpoint = f"[{value}]:6443" if ":" in value else f"{value}:6443"
    found = told(key, endpoint if key.endswith("_endpoint") else [value] if listed else value)
    # A socket may be bound to all addresses, and a link-local one has a place in a certificate.
    fine = (key == "etcd_listen_address" and value in {"0.0.0.0", "::"}) or (
        key in {"etcd_extra_names", "etcd_kubernetes_cert_sans"} and value == "fe80::1"
    )
    assert bool(found) is not fine
    for text in found:
        assert nobodys(value) in text
        assert f"next: set {key} to a value such as" in text


@pytest.mark.parametrize("value", HOSTS)
def test_d25_addresses_of_hosts_documentation_among_them_are_accepted(value):
    assert nobodys(value) == ""
    assert told("etcd_address", value) == []
    assert not is_loopback(value)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_d25_an_address_is_somebodys_exactly_where_one_host_may_have_it(number):
    inner = getattr(number, "ipv4_mapped", None) or number
    nothing = (
        inner.is_multicast
        or inner.is_unspecified
        or (inner.version == 6 and inner.is_link_local)
        or (inner.version == 4 and str(inner).startswith("0."))
        or str(inner) == "255.255.255.255"
    )
    assert bool(nobodys(str(number))) == nothing
    assert bool(told("etcd_address", str(number))) == nothing


@pytest.mark.parametrize("value", LOOPBACK)
def test_d25_loopback_leads_each_host_to_itself(value):
    assert is_loopback(value)
    address = value.rstrip(".")
    for key in ("etcd_k3s_node_ip", "etcd_kubernetes_advertise_address", "etcd_flannel_iface"):
        if ":" in value or value[0].isdigit():
            assert "leads each to itself" in told(key, value)[0]
    if ":" not in value:
        assert f"{address} is each host itself" in told("etcd_kubernetes_endpoint", address)[0]
    alone, wrong = cluster({"n1": {"etcd_address": value}})
    assert (wrong, alone.members[0].address) == ([], value)
    _, wrong = cluster(
        {
            "n1": {"etcd_address": value},
            "n2": {"etcd_address": "10.0.0.2"},
            "n3": {"etcd_address": "10.0.0.3"},
        }
    )
    (text,) = map(str, wrong)
    assert text.startswith(
        f"n1: found the address {value}, which leads each host to itself, beside 2 other members"
    )
    assert text.endswith("next: set etcd_address")


def cluster(hosts, held=None, reach=None):
    own = {}
    for host, data in hosts.items():
        settings, wrong = read_settings(host, {"etcd_allow_even": True, **data})
        assert settings, wrong
        own[host] = settings
    return build_cluster("c", own, held or {}, reach or {})


def test_d25_a_listener_on_loopback_beside_others_is_refused_and_alone_or_everywhere_it_is_fine():
    both = {"n1": {"etcd_address": "10.0.0.1"}, "n2": {"etcd_address": "10.0.0.2"}}
    both["n1"]["etcd_listen_address"] = "127.0.0.1"
    _, wrong = cluster(both)
    assert [one.next for one in wrong] == ["correct etcd_listen_address, or leave it out"]
    for listen in ("0.0.0.0", "::", "10.0.0.1"):
        both["n1"]["etcd_listen_address"] = listen
        assert cluster(both)[1] == []
    assert cluster({"n1": {"etcd_address": "10.0.0.1", "etcd_listen_address": "127.0.0.1"}})[1] == []


@pytest.mark.parametrize(
    ("data", "held", "reach"),
    [
        ({}, {}, {"n1": "0.0.0.0"}),
        ({"etcd_interface": "eth0"}, {"n1": [Held("eth0", "fe80::1", 64)]}, {}),
    ],
)
def test_d25_what_nobody_has_set_is_judged_by_the_same_rule(data, held, reach):
    (text,) = map(str, cluster({"n1": data}, held, reach)[1])
    assert "n1: found the address" in text
    assert text.endswith("next: set etcd_address")


LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(is_address_or_name)


@given(NAME.filter(lambda name: not name.replace(".", "").isdigit()), LABEL, LABEL)
def test_row_28_a_star_stands_for_one_whole_label_at_the_front_as_go_has_it(rest, label, more):
    name = f"*.{rest}"
    assert told("etcd_extra_names", [name]) == []
    for wrong in (f"a{name}", f"*{name}", f"x.*.{rest}", f"*.*.{rest}", f"*a.{rest}", "*", "*.", f"{rest}.*"):
        assert told("etcd_extra_names", [wrong]), wrong
        assert not is_wildcard(wrong)
    for key in ("etcd_address", "etcd_listen_address", "etcd_k3s_node_ip", "etcd_kubernetes_endpoint"):
        assert told(key, name)
    assert matches(name, f"{label}.{rest}")
    assert not matches(name, rest)
    assert not matches(name, f"{more}.{label}.{rest}")


@pytest.mark.parametrize(
    "value", ["*.10.0.0.1", "*.1", "*.::1", "*.example.org:2379", "*.exa mple.org", "*.-a.org"]
)
def test_row_28_a_star_before_what_is_no_name_is_refused(value):
    assert told("etcd_extra_names", [value])


def test_row_28_the_star_is_in_the_servers_certificate_alone_and_in_no_url():
    found, wrong = cluster(
        {"n1": {"etcd_address": "10.0.0.1", "etcd_extra_names": ["*.Etcd.example.org", "x.example.org"]}}
    )
    assert wrong == []
    (member,) = found.members
    server, peer = (leaf_spec(member, role).names for role in ("server", "peer"))
    assert set(server) - set(peer) == {"*.etcd.example.org"}
    assert leaf_spec(member, "client").names == ()
    urls = [
        *found.endpoints,
        member.peer_url,
        member.listen_peer_url,
        *member.listen_client_urls,
        member.loopback_url,
    ]
    assert not any("*" in url for url in urls)
    assert ipaddress.ip_address(member.listen)
