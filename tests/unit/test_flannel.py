"""flannel's configuration, sizes, leases and files, without any host."""

from __future__ import annotations

import base64
import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward import flannel, flannel_leases
from etcd_steward.settings import Settings, read_settings

NETWORK = {"etcd_flannel_network": "172.30.0.0/16"}
SEED = {**NETWORK, "etcd_flannel_subnet_len": 21}
SEED_TEXT = '{"Network":"172.30.0.0/16","SubnetLen":21,"Backend":{"Type":"vxlan"}}'


def settings(**data: object) -> Settings:
    found, complaints = read_settings("n1", {**NETWORK, **data})
    assert not complaints, [str(complaint) for complaint in complaints]
    assert found is not None
    return found


def refused(**data: object) -> str:
    _, complaints = read_settings("n1", {**NETWORK, **data})
    assert len(complaints) == 1, [str(complaint) for complaint in complaints]
    return str(complaints[0])


def answer(prefix: str = "/coreos.com/network", config: str | None = SEED_TEXT, **leases: object) -> str:
    values = {f"{prefix}/config": config} if config is not None else {}
    values |= {
        f"{prefix}/subnets/{name.replace('_', '.').replace('to', '-')}": value
        for name, value in leases.items()
    }
    encoded = [
        {
            "key": base64.b64encode(key.encode()).decode(),
            "mod_revision": 7,
            "value": base64.b64encode(
                (value if isinstance(value, str) else json.dumps(value)).encode()
            ).decode(),
        }
        for key, value in values.items()
    ]
    return json.dumps({"header": {"revision": 9}, "kvs": encoded, "count": len(encoded)})


def test_the_configuration_of_the_article_is_written_as_the_article_has_it() -> None:
    assert flannel.as_text(flannel.configuration(settings(**SEED))) == SEED_TEXT


def test_everything_that_is_set_stands_in_the_configuration_under_flannels_names() -> None:
    whole = settings(
        **SEED,
        etcd_flannel_subnet_min="172.30.8.0",
        etcd_flannel_subnet_max="172.30.240.0",
        etcd_flannel_ipv6_network="fd00:30::/48",
        etcd_flannel_ipv6_subnet_len=64,
        etcd_flannel_vni=4096,
        etcd_flannel_port=4789,
        etcd_flannel_mtu=9000,
        etcd_flannel_direct_routing=True,
        etcd_flannel_nftables=True,
    )
    assert flannel.configuration(whole) == {
        "Network": "172.30.0.0/16",
        "SubnetLen": 21,
        "SubnetMin": "172.30.8.0",
        "SubnetMax": "172.30.240.0",
        "EnableIPv6": True,
        "IPv6Network": "fd00:30::/48",
        "IPv6SubnetLen": 64,
        "EnableNFTables": True,
        "Backend": {"Type": "vxlan", "VNI": 4096, "Port": 4789, "MTU": 9000, "DirectRouting": True},
    }


@pytest.mark.parametrize(
    ("data", "room"),
    [
        (SEED, 31),
        (NETWORK, 255),
        ({"etcd_flannel_network": "10.0.0.0/23"}, 3),
        ({"etcd_flannel_network": "10.0.0.0/28"}, 3),
        ({**SEED, "etcd_flannel_subnet_min": "172.30.0.0"}, 32),
        ({**SEED, "etcd_flannel_subnet_min": "172.30.8.0", "etcd_flannel_subnet_max": "172.30.16.0"}, 2),
    ],
)
def test_the_room_of_a_network_is_counted_without_its_first_part(data: dict[str, object], room: int) -> None:
    assert flannel.capacity(settings(**data)) == room


@given(st.integers(8, 28), st.data())
def test_what_is_accepted_is_what_flannel_itself_accepts(length: int, data: st.DataObject) -> None:
    part = data.draw(st.none() | st.integers(2, 30))
    network = ipaddress.IPv4Network((int(ipaddress.IPv4Address("10.0.0.0")), length))
    given_data = {"etcd_flannel_network": str(network)} | (
        {} if part is None else {"etcd_flannel_subnet_len": part}
    )
    found, complaints = read_settings("n1", given_data)
    fits = part is None or part >= length + 2
    assert (not complaints) is fits
    if fits:
        assert found is not None
        assert flannel.capacity(found) >= 3
        parts = list(network.subnets(new_prefix=part or max(24, length + 2))) if length >= 16 else None
        assert parts is None or flannel.capacity(found) == len(parts) - 1


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            {"etcd_flannel_version": "0.10.0"},
            (
                "n1: found etcd_flannel_version 0.10.0, which speaks etcd's API v2 alone (flannel speaks v3 since 0.18.0, "
                "commit f4326fc8; no release speaks both), while members made here answer v3 alone, wanted flannel 0.18.0 "
                "or later; next: leave etcd_flannel_version out, or set it to such a release"
            ),
        ),
        (
            {"etcd_flannel_subnet_len": 17},
            (
                "n1: found etcd_flannel_subnet_len 17 in 172.30.0.0/16, wanted 18 to 30, as flannel wants room for four hosts "
                "at least; next: raise etcd_flannel_subnet_len, or widen etcd_flannel_network"
            ),
        ),
        (
            {"etcd_flannel_network": "172.30.0.0/29"},
            (
                "n1: found etcd_flannel_network 172.30.0.0/29, wanted one of /28 or wider, as flannel wants room for four "
                "hosts with four addresses each; next: widen etcd_flannel_network"
            ),
        ),
        (
            {"etcd_flannel_ipv6_network": "fd00::/64", "etcd_flannel_ipv6_subnet_len": 64},
            (
                "n1: found etcd_flannel_ipv6_subnet_len 64 in fd00::/64, wanted 66 to 126, as flannel wants room for four "
                "hosts at least; next: raise etcd_flannel_ipv6_subnet_len, or widen etcd_flannel_ipv6_network"
            ),
        ),
        (
            {"etcd_flannel_subnet_min": "172.31.0.0"},
            (
                "n1: found etcd_flannel_subnet_min 172.31.0.0, wanted an address in 172.30.0.0/16; next: correct or leave out "
                "etcd_flannel_subnet_min"
            ),
        ),
        (
            {"etcd_flannel_subnet_len": 21, "etcd_flannel_subnet_max": "172.30.9.0"},
            (
                "n1: found etcd_flannel_subnet_max 172.30.9.0, wanted the first address of a /21, such as 172.30.8.0; "
                "next: correct etcd_flannel_subnet_max"
            ),
        ),
        (
            {"etcd_flannel_subnet_min": "172.30.9.0", "etcd_flannel_subnet_max": "172.30.8.0"},
            (
                "n1: found etcd_flannel_subnet_min 172.30.9.0 and etcd_flannel_subnet_max 172.30.8.0, wanted the first not "
                "behind the last; next: correct etcd_flannel_subnet_min or etcd_flannel_subnet_max"
            ),
        ),
        (
            {"etcd_flannel_subnet_min": "fd00::"},
            (
                "n1: found etcd_flannel_subnet_min fd00::, wanted an address in 172.30.0.0/16; next: correct or leave out "
                "etcd_flannel_subnet_min"
            ),
        ),
        (
            {"etcd_flannel_network": "172.30.1.0/16"},
            (
                "n1: found etcd_flannel_network = '172.30.1.0/16', wanted a network with its length such as 172.30.0.0/16, "
                "whose address is its first; next: set etcd_flannel_network to a value such as '172.30.0.0/16'"
            ),
        ),
        (
            {"etcd_flannel_prefix": "/a b"},
            (
                "n1: found etcd_flannel_prefix = '/a b', wanted a path of letters, digits and . _ -, that begins with / and "
                "does not end with it; next: set etcd_flannel_prefix to a value such as '/kubernetes/network'"
            ),
        ),
        (
            {"etcd_flannel_version": 0.28},
            (
                "n1: found etcd_flannel_version = 0.28, wanted a full version such as 0.28.10; next: set etcd_flannel_version "
                "to a value such as '0.28.10'"
            ),
        ),
    ],
)
def test_f45_what_flannel_could_not_use_is_refused_with_the_reason(
    data: dict[str, object], sentence: str
) -> None:
    assert refused(**data) == sentence


@pytest.mark.parametrize("version", ["0.18.0", "0.28.9", "v0.28.9"])
def test_releases_that_speak_the_v3_api_are_accepted(version: str) -> None:
    assert settings(etcd_flannel_version=version).etcd_flannel_version == version.removeprefix("v")


def test_without_a_network_nothing_of_flannel_is_judged() -> None:
    _, complaints = read_settings("n1", {"etcd_flannel_version": "0.10.0"})
    assert complaints == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (SEED_TEXT, []),
        ('{ "SubnetLen": 21, "Backend": {"VNI": 1, "Port": 8472, "Type": "vxlan"}, "Network": "172.30.0.0/16" }', []),
        (SEED_TEXT.replace("21", "24"), ["SubnetLen 24, wanted 21"]),
        (SEED_TEXT.replace(',"SubnetLen":21', ""), ["SubnetLen 24, wanted 21"]),
        (SEED_TEXT.replace("172.30", "172.17"), ['Network "172.17.0.0/16", wanted "172.30.0.0/16"']),
        (SEED_TEXT.replace('"vxlan"', '"vxlan","Port":4789'), ["Backend.Port 4789, wanted 8472"]),
        ("172.30.0.0/16", ["no configuration but '172.30.0.0/16'"]),
        ('{"Backend":1}', ["no configuration but '{\"Backend\":1}'"]),
    ],
)  # fmt: skip
def test_a_configuration_is_compared_as_flannel_would_read_it(found: str, told: list[str]) -> None:
    assert flannel.differences(found, flannel.configuration(settings(**SEED))) == told


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "etcd_flannel_subnet_len": st.integers(18, 30),
            "etcd_flannel_vni": st.integers(1, 2**24 - 1),
            "etcd_flannel_port": st.integers(1, 65535),
            "etcd_flannel_direct_routing": st.booleans(),
            "etcd_flannel_nftables": st.booleans(),
            "etcd_flannel_ipv6_network": st.just("fd00:30::/48"),
        },
    )
)
def test_a_configuration_that_was_written_is_never_found_different(data: dict[str, object]) -> None:
    config = flannel.configuration(settings(**data))
    assert flannel.differences(flannel.as_text(config), config) == []


def test_leases_are_read_and_other_keys_are_passed_over() -> None:
    told = answer(
        **{
            "172_30_104_0to21": {"PublicIP": "192.168.27.135", "BackendType": "vxlan"},
            "172_30_8_0to21&fd00:30:0:1::to64": {"PublicIP": "192.168.27.133", "PublicIPv6": "fd00::2"},
            "nonsense": {"PublicIP": "192.168.27.1"},
            "172_30_16_0to21": "not json",
            "172_30_17_0to21": {"PublicIP": "192.168.27.9"},
        }
    )
    keys = flannel_leases.read_keys("/coreos.com/network", told)
    assert keys is not None
    assert (keys.config, keys.revision) == (SEED_TEXT, 7)
    assert [(str(lease.subnet), lease.address, lease.device_address) for lease in keys.leases] == [
        ("172.30.8.0/21", "192.168.27.133", "172.30.8.0"),
        ("172.30.104.0/21", "192.168.27.135", "172.30.104.0"),
    ]
    assert str(keys.leases[0].subnet6) == "fd00:30:0:1::/64"


def test_a_prefix_without_anything_is_no_error_and_half_an_answer_is_one() -> None:
    assert flannel_leases.read_keys("/a", answer("/a", None)) == flannel_leases.Keys()
    assert flannel_leases.read_keys("/a", '{"header":{"revision":9}}') == flannel_leases.Keys()
    for text in ("", "[]", '{"kvs":[{}]}', '{"kvs":[{"key":"%"}]}', "null"):
        assert flannel_leases.read_keys("/a", text) is None


@given(st.text())
def test_no_answer_is_too_strange_to_be_read(text: str) -> None:
    flannel_leases.read_keys("/a", text)
    flannel_leases.read_keys("/a", answer("/a", text, **{"172_30_8_0to21": text}))
    flannel.differences(text, flannel.configuration(settings(**SEED)))
    flannel_leases.read_subnet_file(text.splitlines())


def test_the_file_of_a_running_flanneld_names_its_part() -> None:
    lines = [
        "FLANNEL_NETWORK=172.30.0.0/16",
        "FLANNEL_SUBNET=172.30.104.1/21",
        "FLANNEL_MTU=1450",
        "FLANNEL_IPMASQ=true",
    ]
    found = flannel_leases.read_subnet_file(lines)
    assert found is not None
    assert (str(found.network), str(found.subnet)) == ("172.30.0.0/16", "172.30.104.0/21")
    assert flannel_leases.read_subnet_file(lines[:1]) is None
    assert flannel_leases.read_subnet_file([]) is None


def test_addresses_of_hosts_inside_the_network_are_found() -> None:
    networks = ["172.30.0.0/16", None, "fd00:30::/48"]
    addresses = ["192.168.1.1", "172.30.4.1", "fd00:30::1", "fd00:31::1", "n1.example.org", "172.30.4.1"]
    assert flannel.overlaps(networks, addresses) == ["172.30.4.1", "fd00:30::1"]


def test_a_lease_is_the_hosts_only_where_etcd_and_the_host_agree_on_part_and_address() -> None:
    keys = flannel_leases.read_keys(
        "/coreos.com/network", answer(**{"172_30_8_0to21": {"PublicIP": "192.168.27.133"}})
    )
    assert keys is not None
    own = flannel_leases.read_subnet_file(["FLANNEL_NETWORK=172.30.0.0/16", "FLANNEL_SUBNET=172.30.8.1/21"])
    assert flannel_leases.lease_of(keys.leases, own, ["192.168.27.133"]) == keys.leases[0]
    assert flannel_leases.lease_of(keys.leases, own, ["192.168.27.134"]) is None, "a cloned host"
    assert flannel_leases.lease_of(keys.leases, None, ["192.168.27.133"]) is None
    other = flannel_leases.read_subnet_file(
        ["FLANNEL_NETWORK=172.30.0.0/16", "FLANNEL_SUBNET=172.30.16.1/21"]
    )
    assert flannel_leases.lease_of(keys.leases, other, ["192.168.27.133"]) is None


@pytest.mark.parametrize(
    ("subnet", "fits"), [("172.30.8.0/21", True), ("172.30.8.0/24", False), ("172.29.8.0/21", False)]
)
def test_a_part_that_an_earlier_configuration_gave_away_is_none_of_this_network(
    subnet: str, fits: bool
) -> None:
    assert flannel.fits(settings(**SEED), ipaddress.IPv4Network(subnet)) is fits
