"""The addresses of a host: one that moves by itself is never taken for what an operator has set."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.addresses import Held, candidates, read_held
from etcd_steward.identity import Identity
from etcd_steward.observed import ClusterState, Data, HostState, ListedMember, known_addresses
from etcd_steward.settings import read_settings
from etcd_steward.templating import text
from etcd_steward.topology import build_cluster

SHELLS = [
    words for words in (["dash"], ["sh"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])
]
# As iproute2 6 and busybox 1.37 print them.
TOLD = r"""
2: eth0    inet 10.0.0.1/24 brd 10.0.0.255 scope global dynamic noprefixroute eth0\       valid_lft 85sec preferred_lft 85sec
2: eth0    inet 10.0.0.9/24 scope global secondary eth0:vip\       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.0.100/32 scope global deprecated eth0\       valid_lft forever preferred_lft 0sec
2: eth0    inet6 2001:db8::7/64 scope global temporary dynamic \       valid_lft 85sec preferred_lft 85sec
2: eth0    inet6 2001:db8::8/64 scope global secondary dynamic \       valid_lft 85sec preferred_lft 85sec
2: eth0    inet6 2001:db8::9/64 scope global tentative dadfailed mngtmpaddr \       valid_lft 85sec preferred_lft 85sec
3: secondary    inet 10.9.0.1 peer 10.9.0.2/32 scope global secondary\       valid_lft forever preferred_lft forever
"""
READ = (
    Held("eth0", "10.0.0.1", 24),
    Held("eth0", "10.0.0.9", 24, frozenset({"secondary"})),
    Held("eth0", "10.0.0.100", 32, frozenset({"deprecated"})),
    Held("eth0", "2001:db8::7", 64, frozenset({"temporary"})),
    Held("eth0", "2001:db8::8", 64, frozenset({"secondary"})),
    Held("eth0", "2001:db8::9", 64, frozenset({"tentative", "dadfailed"})),
    Held("secondary", "10.9.0.1", None),
)


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_the_host_tells_what_the_kernel_says_of_each_address(words):
    command = f"ip() {{ cat; }}\n{text('addresses.sh')}\ntell_addresses interface scope global"
    done = subprocess.run(
        [*words, "-c", command], input=TOLD.strip(), capture_output=True, text=True, check=True
    )
    lines = [line.removeprefix("interface ") for line in done.stdout.splitlines()]
    assert read_held(lines) == READ


@given(st.lists(st.text(max_size=40)))
def test_whatever_a_host_tells_only_addresses_are_read(lines):
    for one in read_held(lines):
        assert str(ip_address(one.address)) == one.address


def v4(last, length=24, *flags):
    return Held("eth0", f"10.0.0.{last}", length, frozenset(flags))


def v6(last, length=64, *flags):
    return Held("eth0", f"2001:db8::{last}", length, frozenset(flags))


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ([v4(1)], ["10.0.0.1"]),
        ([v4(100, 32), v4(1)], ["10.0.0.1"]),  # kube-vip's, whichever stands first
        ([v4(1), v4(9, 24, "secondary")], ["10.0.0.1"]),
        ([v4(9, 24, "secondary"), v4(1)], ["10.0.0.1"]),
        ([v4(1, 32)], ["10.0.0.1"]),  # a cloud's hosts have such an address
        ([v4(1, 32), v6(1)], ["10.0.0.1"]),
        ([v6(1), v4(1)], ["10.0.0.1"]),
        ([v6(7, 64, "temporary"), v6(1)], ["2001:db8::1"]),
        ([v6(7, 64, "secondary"), v6(1)], ["2001:db8::1"]),  # busybox' word for it
        ([v6(7, 64, "deprecated"), v6(8, 64, "tentative"), v6(9, 64, "dadfailed")], []),
        ([v6(1, 128), v6(2)], ["2001:db8::2"]),
        ([v4(1), v4(2)], ["10.0.0.1", "10.0.0.2"]),
        ([v4(1), v4(1)], ["10.0.0.1"]),
        ([Held("eth0", "10.0.0.1"), v4(2, 32)], ["10.0.0.1"]),
        ([], []),
    ],
)
def test_the_address_that_lasts_is_chosen_and_none_where_nothing_decides(held, wanted):
    assert candidates(held) == wanted


FLAGS = st.sets(
    st.sampled_from(["secondary", "temporary", "deprecated", "tentative", "dadfailed"]), max_size=2
)
ADDRESSES = st.builds(
    Held,
    st.just("eth0"),
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.sampled_from([24, 32]),
    FLAGS.map(frozenset),
)


@given(st.lists(ADDRESSES, max_size=6), st.randoms())
def test_the_choice_does_not_follow_the_order_and_takes_nothing_that_passes(held, random):
    chosen = candidates(held)
    shuffled = list(held)
    random.shuffle(shuffled)
    assert set(candidates(shuffled)) == set(chosen)
    for one in held:
        if not any(other.lasts for other in held if other.address == one.address):
            assert one.address not in chosen


def place(held, known=(), reached="", **data):
    own, wrong = read_settings("n1", data)
    assert own, wrong
    return build_cluster("c", {"n1": own}, {"n1": held}, {"n1": reached}, {"n1": list(known)})


def test_several_addresses_are_refused_and_the_setting_is_named():
    cluster, (told,) = place([v4(1), v4(2)], etcd_interface="eth0")
    assert cluster is None
    assert "found 2 addresses on eth0 (10.0.0.1, 10.0.0.2)" in str(told)
    assert told.next == "set etcd_address to it"
    _, (told,) = place([v6(7, 64, "temporary")], etcd_interface="eth0")
    assert "no address on eth0 that lasts (2001:db8::7 temporary)" in str(told)
    _, (told,) = place([v4(1), v4(2)], etcd_interface="eth0", etcd_address="n1.lan")
    assert told.next == "set etcd_listen_address to it"
    both = {"etcd_address": "n1.lan", "etcd_listen_address": "10.0.0.2"}
    assert place([v4(1), v4(2)], etcd_interface="eth0", **both)[1] == []


@pytest.mark.parametrize(
    ("data", "reached", "source"),
    [({"etcd_interface": "eth0"}, "", "eth0"), ({}, "10.0.0.1", "the inventory")],
)
def test_a_member_that_is_known_by_another_address_of_the_same_host_stays_and_that_is_said(
    data, reached, source
):
    for held in ([v4(1), v4(5, 32)], [v4(5, 24, "secondary"), v4(1)], [v4(1), Held("eth1", "10.0.0.5", 24)]):
        cluster, _ = place(held, ["10.0.0.5"], reached, **data)
        (member,) = cluster.members
        assert (member.address, member.listen) == ("10.0.0.5", "10.0.0.5")
        (note,) = member.notes
        assert f"known by 10.0.0.5, which is still on this host, though {source} gives 10.0.0.1" in note
    # What an operator sets is done, and what is no longer on the host has moved.
    for known, more in ((["10.0.0.5"], {"etcd_address": "10.0.0.1"}), (["10.0.0.77"], {})):
        cluster, _ = place([v4(1), v4(5, 32)], known, reached, **data, **more)
        assert (cluster.members[0].address, cluster.members[0].notes) == ("10.0.0.1", ())
    cluster, _ = place([v4(1), v4(5, 32)], ["10.0.0.1"], reached, **data)
    assert cluster.members[0].notes == ()


def test_a_choice_that_nothing_decides_is_settled_by_what_the_member_is_known_by():
    cluster, _ = place([v4(1), v4(2)], ["10.0.0.2"], etcd_interface="eth0")
    assert cluster.members[0].address == "10.0.0.2"
    assert "though eth0 gives 10.0.0.1 and 10.0.0.2" in cluster.members[0].notes[0]


def test_who_is_known_by_what_comes_from_the_cluster_and_without_it_from_the_hosts_own_configuration():
    urls = ("https://10.0.0.5:2380", "https://n1.lan:2380", "https://[::1")
    listed = ListedMember(7, "n1", urls, ("x",), learner=False)
    seen = ClusterState(9, (listed,), 7, "n1")
    state = HostState(
        "n1", reached=True, data=Data("complete", Identity(7, 9)), listed="n1=https://10.0.0.6:2380"
    )
    assert known_addresses({"n1": state}, seen, {"n1": "n1"}) == {"n1": ["10.0.0.5"]}
    assert known_addresses({"n1": state}, None, {"n1": "n1"}) == {"n1": ["10.0.0.6"]}
    other = HostState("n1", reached=True, data=Data("complete", Identity(7, 8)))
    assert known_addresses({"n1": other}, seen, {"n1": "n1"}) == {"n1": []}
    lost = HostState("n1", reached=True, data=Data("empty"))
    assert known_addresses({"n1": lost}, seen, {"n1": "n1"}) == {"n1": ["10.0.0.5"]}
