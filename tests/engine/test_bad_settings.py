"""Settings that cannot be meant, through pyinfra's real engine: refused in sentences, before any host is asked."""

import math
import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from etcd_steward.settings import Settings, read_settings
from etcd_steward.verbs import etcd, status
from etcd_steward.versions import NEWEST
from tests.engine.fakes import FakeHost, World, run_deploy

SENTENCE = re.compile(r"    \S.*: found .+, wanted .+; next: .+")
FAST = {"fake_delay": 0, "fake_delay_jitter": 0}

NONSENSE = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(
        ["", "..", "/", "../..", "a b", "a\nb", "$(reboot)", "; rm -rf /", "-rf", "é", "\x00", "\x1b[31m"]
    ),
    st.lists(st.text(max_size=5) | st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=8), st.text(max_size=5) | st.integers() | st.none(), max_size=3),
    st.binary(max_size=5),
)
# Keys that are close to ours, as typing errors make them.
TYPOS = st.sampled_from(sorted(Settings.model_fields)).flatmap(
    lambda key: st.integers(5, len(key) - 1).map(lambda place: key[:place] + key[place + 1 :])
)
# What is right one by one, and wrong together.
COMBINATIONS = st.one_of(
    st.integers(1, 65535).map(lambda port: {"etcd_client_port": port, "etcd_peer_port": port}),
    st.integers(1, 700).map(lambda days: {"etcd_certificate_days": days, "etcd_renew_days": days}),
    st.sampled_from(
        [{"etcd_ca_cert": "ca.pem"}, {"etcd_peer_ca_cert": "ca.pem"}, {"etcd_ca_key": "key.pem"}]
    ),
    st.sampled_from(["/data", "/data/member"]).map(
        lambda wal: {"etcd_data_dir": "/data", "etcd_wal_dir": wal}
    ),
    st.sampled_from(["3.5.0", "3.5.2", "3.3.9", "9.9.9"]).map(lambda version: {"etcd_version": version}),
    st.text(st.characters(categories=["Ll", "Pd"]), min_size=1, max_size=12).map(
        lambda key: {"etcd_config": {f"x-{key}": 1}}
    ),
)
WRONG = st.one_of(
    st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), NONSENSE, min_size=1, max_size=4),
    st.dictionaries(TYPOS, NONSENSE, min_size=1, max_size=2),
    COMBINATIONS,
)


def three(wrong, place=1):
    """Make three hosts of which one has wrong settings."""
    return {
        f"@fake/n{number}": FakeHost(
            f"@fake/n{number}",
            {**FAST, "etcd_address": f"198.18.99.{number}", **(wrong if number == place else {})},
        )
        for number in (1, 2, 3)
    }


def refused(hosts, verb=etcd, **more):
    result = run_deploy(hosts, verb, **more)
    lines = result.refused.splitlines()
    assert lines[0] == "refused, no host was changed:"
    assert len(lines) > 1
    assert [line for line in lines[1:] if not SENTENCE.fullmatch(line)] == []
    assert list(result.commands.values()) == [[]] * len(hosts)
    assert not any(result.uploads.values())
    return lines[1:]


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(WRONG, st.integers(1, 3), st.sampled_from([etcd, status]))
def test_wrong_settings_of_one_host_are_refused_in_sentences_and_no_host_is_asked(wrong, place, verb):
    _, complaints = read_settings("n", {"etcd_address": "198.18.99.1", **wrong})
    assume(complaints)
    told = refused(three(wrong, place), verb)
    assert len(told) == len(dict.fromkeys(map(str, complaints)))
    assert all(line.startswith(f"    @fake/n{place}: ") for line in told)


@pytest.mark.parametrize("yes", [True, False])
def test_the_complaints_of_all_hosts_come_at_once(yes):
    hosts = three({"etcd_adress": "x"})
    hosts["@fake/n2"].data["etcd_version"] = 3.6
    hosts["@fake/n3"].data |= {"etcd_client_port": 0, "etcd_data_dir": "data"}
    told = refused(hosts, yes=yes)
    assert [line.strip().partition(": ")[0] for line in told] == [
        "@fake/n1",
        "@fake/n2",
        "@fake/n3",
        "@fake/n3",
    ]


def test_data_of_the_command_line_is_judged_like_that_of_the_inventory():
    (first, *_) = refused(three({}), data={"etcd_version": 3.6})
    assert first == (
        f"    @fake/n1: found etcd_version = 3.6, wanted a full version such as {NEWEST['3.6']}; next: set etcd_version to a value such as '3.5.30'"
    )


def test_an_inventory_without_members_is_refused():
    hosts = three({})
    for host in hosts.values():
        host.groups = ("web",)
    assert refused(hosts)[0].startswith("    inventory: found no host in the group etcd")


def test_f41_an_even_number_of_members_is_refused():
    hosts = three({})
    del hosts["@fake/n3"]
    assert refused(hosts)[0].startswith("    etcd: found 2 members, wanted an odd number")


def test_f41_hosts_that_disagree_are_refused():
    assert refused(three({"etcd_client_port": 4001}, 2)) == [
        "    @fake/n2: found etcd_client_port = 4001, wanted 2379 as on @fake/n1; next: set etcd_client_port once, for all of etcd"
    ]


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 10**5000, object(), b"\xff", {1: 2}, ["a" * 10**6]],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "key", ["etcd_name", "etcd_client_port", "etcd_version", "etcd_config", "etcd_max_skew", "etcd_sha256"]
)
def test_no_value_is_too_strange_to_be_refused(key, value):
    told = refused(three({key: value}))
    assert all(len(line) < 400 for line in told)


def test_a_host_for_whose_machine_no_digest_is_known_is_refused_by_name_where_one_is_required(tmp_path):
    world = World(tmp_path, formed=False, etcd_version="3.7.2", etcd_require_digest=True)
    host = world.hosts["@fake/n2"]
    host.lines = ["machine aarch64" if line == "machine x86_64" else line for line in host.lines]
    (complaint,) = run_deploy(world.hosts, etcd).refused.splitlines()[1:]
    assert complaint.startswith("    @fake/n2: found no SHA-256 of etcd-v3.7.2-linux-arm64.tar.gz")


@pytest.mark.parametrize("verb", [etcd, status], ids=lambda verb: verb.__name__)
@pytest.mark.parametrize("name", ["küche 1", "$(reboot)", "a'b", "a=b c", "%n", "n1;x", "-n"])
def test_d11_a_name_of_the_inventory_is_judged_as_etcd_name_before_any_host_is_asked(tmp_path, name, verb):
    hosts = World(tmp_path).hosts
    odd = f"@fake/{name}"
    hosts[odd] = FakeHost(odd, {**next(iter(hosts.values())).data, "etcd_address": "198.18.99.77"})
    result = run_deploy(hosts, verb)
    assert "; next: set etcd_name to " in result.refused
    assert not any(result.commands.values())


def test_d11_a_clients_name_is_judged_too(tmp_path):
    hosts = World(tmp_path).hosts
    odd = "@fake/küche"
    own = {**next(iter(hosts.values())).data, "etcd_client_of": "etcd"}
    hosts[odd] = FakeHost(odd, own, groups=("clients",))
    assert "; next: set etcd_client_name to " in run_deploy(hosts, etcd).refused
    hosts[odd] = FakeHost(odd, {**own, "etcd_client_name": "kitchen"}, groups=("clients",))
    assert not run_deploy(hosts, etcd).refused
