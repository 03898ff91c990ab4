"""What is promised about the care for databases."""

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward import versions
from etcd_steward.maintaining import DEFAULT_QUOTA, Database, choose_care, unsafe_defragmentation
from etcd_steward.settings import Settings
from tests.engine.common import clone
from tests.engine.fakes import World

MIB = 2**20


def another_life(world):
    """Let one host have the record of another cluster."""
    host = world.hosts["@fake/n3"]
    host.lines = [
        line.replace(world.record.id, "0" * 13 + "abc") if line.startswith("record ") else line
        for line in host.lines
    ]


def care(
    tmp_path,
    size=0,
    used=0,
    *,
    alarms=(),
    limit=None,
    unreached=(),
    unhealthy=(),
    revision=5000,
    free=9999,
    **data,
):
    data = {"etcd_config": {"quota-backend-bytes": 100 * MIB}, **data}
    world = World(Path(mkdtemp(dir=tmp_path)), **data)
    sight = world.sight(unreached)
    hosts = {}
    for host, state in sight.hosts.items():
        status = state.endpoint.status
        if status is not None:
            header = {**status["header"], "revision": revision}
            status = {**status, "dbSize": size, "dbSizeInUse": used, "header": header}
        # As the probe tells it: etcd's check fails under every alarm, NOSPACE alone is let pass.
        well = state.endpoint.healthy and not set(alarms) - {"NOSPACE"} and host not in unhealthy
        endpoint = replace(state.endpoint, status=status, alarms=alarms, healthy=well)
        hosts[host] = replace(state, endpoint=endpoint, free_mb=free)
    healthy = any(state.endpoint.healthy for state in hosts.values())
    sight = replace(sight, hosts=hosts, seen=sight.seen if healthy else None)
    return choose_care(sight, set(world.hosts) if limit is None else limit)


def told(found):
    return " | ".join(map(str, found.complaints))


@pytest.mark.parametrize(
    ("size", "used", "due"),
    [(60, 20, True), (60, 50, False), (40, 1, False), (50, 25, True), (0, 0, False)],
    ids=["full and empty inside", "full", "small", "at both thresholds", "new"],
)
def test_a_database_is_defragmented_where_it_fills_its_quota_and_holds_little(tmp_path, size, used, due):
    found = care(tmp_path, size * MIB, used * MIB)
    assert found.complaints == ()
    assert bool(found.order) is due
    assert found.compact_to == 0


def test_the_leader_comes_last(tmp_path):
    # The first member leads in the pretended cluster.
    assert care(tmp_path, 60 * MIB, MIB).order == ("@fake/n2", "@fake/n3", "@fake/n1")


def test_history_is_forgotten_only_when_asked_or_when_space_is_out(tmp_path):
    assert care(tmp_path, 60 * MIB, 50 * MIB, etcd_compact=True).compact_to == 4000
    assert care(tmp_path, 60 * MIB, 50 * MIB, etcd_compact=True, etcd_compact_keep=0).compact_to == 5000
    assert care(tmp_path, etcd_compact=True, revision=900).compact_to == 0
    found = care(tmp_path, 100 * MIB, 99 * MIB, alarms=("NOSPACE",))
    assert (found.nospace, found.compact_to, len(found.order)) == (True, 4000, 3)


def test_the_alarm_corrupt_forbids_everything(tmp_path):
    found = care(tmp_path, 60 * MIB, MIB, alarms=("CORRUPT", "NOSPACE"))
    assert "found the alarm CORRUPT" in told(found)
    assert "never disarmed" in told(found)
    assert not found.anything


@pytest.mark.parametrize(
    ("version", "source"),
    [
        ("3.4.21", "14685"),
        ("3.4.22", "20650"),
        ("3.4.37", "20650"),
        ("3.4.38", ""),
        ("3.5.0", "14685"),
        ("3.5.5", "14685"),
        ("3.5.6", "20650"),
        ("3.5.22", "20650"),
        ("3.5.23", ""),
        ("3.6.0", "20650"),
        ("3.6.4", "20650"),
        ("3.6.5", ""),
        ("3.7.0", ""),
    ],
)
def test_f28_a_release_that_harms_data_while_defragmenting_is_known(version, source):
    reason = unsafe_defragmentation(versions.parse(version))
    assert (f"etcd#{source}" in reason) if source else reason == ""


def test_an_unsafe_release_is_refused_unless_the_operator_insists(tmp_path):
    assert "etcd#20650" in told(care(tmp_path, 60 * MIB, MIB, etcd_version="3.5.16"))
    assert care(tmp_path, 60 * MIB, MIB, etcd_version="3.5.16", etcd_force_version=True).order
    assert care(tmp_path, 60 * MIB, 50 * MIB, etcd_version="3.5.16").complaints == (), "nothing is due"


def test_a_second_database_needs_room(tmp_path):
    assert "wanted 94 MB for a second database" in told(care(tmp_path, 80 * MIB, 30 * MIB, free=93))
    assert care(tmp_path, 80 * MIB, 30 * MIB, free=94).order


def test_every_member_has_to_serve(tmp_path):
    assert "bring this host back first" in told(care(tmp_path, 60 * MIB, MIB, unreached=("@fake/n2",)))


@pytest.mark.parametrize("unhealthy", [("@fake/n2",), ("@fake/n1", "@fake/n2", "@fake/n3")])
@pytest.mark.parametrize("alarms", [(), ("NOSPACE",)])
def test_a_member_that_answers_but_reads_nothing_linearizably_does_not_serve(tmp_path, unhealthy, alarms):
    for size in (60, 1):
        found = care(tmp_path, size * MIB, MIB, unhealthy=unhealthy, alarms=alarms)
        assert not found.anything
        assert told(found).count("found an etcd that does not serve") == len(unhealthy)


def test_under_the_alarm_corrupt_only_the_alarm_is_told(tmp_path):
    assert len(care(tmp_path, alarms=("CORRUPT",)).complaints) == 1


@pytest.mark.parametrize("alarms", [(), ("NOSPACE",)])
def test_members_of_two_clusters_are_not_maintained_as_one(tmp_path, alarms):
    world = World(tmp_path)
    for host in world.hosts:
        world.show(host, "converged", alarms=alarms, cluster_id=0x1234 if host == "@fake/n3" else None)
    found = choose_care(world.sight(), set(world.hosts))
    assert "found members of several clusters (0000000000001234, " in told(found)
    assert not found.anything


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [(clone, "found the same data as on @fake/n1"), (another_life, "found more than one cluster id")],
)
def test_what_the_plan_refuses_is_not_maintained(tmp_path, break_it, reason):
    world = World(tmp_path)
    break_it(world)
    found = choose_care(world.sight(), set(world.hosts))
    assert reason in told(found)
    assert not found.anything


def test_the_alarm_nospace_is_not_ended_beside_a_voter_that_nobody_can_defragment(tmp_path):
    stranger = {"ID": 77, "name": "old", "peerURLs": ["https://10.9.9.9:2380"], "clientURLs": []}
    world = World(tmp_path)
    for alarms in ((), ("NOSPACE",)):
        for host in world.hosts:
            world.show(host, "converged", alarms=alarms, strangers=(stranger,))
        found = choose_care(world.sight(), set(world.hosts))
        reason = (
            "found the alarm NOSPACE and a voter that no host of the inventory runs (old, 000000000000004d)"
        )
        assert (reason in told(found)) is bool(alarms)


def test_only_hosts_of_the_limit_are_changed_and_a_full_cluster_needs_all(tmp_path):
    assert care(tmp_path, 60 * MIB, MIB, limit={"@fake/n2"}).order == ("@fake/n2",)
    assert "run without them" in told(care(tmp_path, 60 * MIB, MIB, limit={"@fake/n2"}, alarms=("NOSPACE",)))


def test_two_voters_pause_only_with_consent(tmp_path):
    two = {"names": ("n1", "n2"), "etcd_allow_even": True}
    assert "2 voters, so that nobody can write" in told(care(tmp_path, 60 * MIB, MIB, **two))
    assert care(tmp_path, 60 * MIB, MIB, **two, etcd_allow_outage=True).order
    assert care(tmp_path, 60 * MIB, MIB, **two, alarms=("NOSPACE",)).order, "nobody can write anyway"


@given(st.integers(0, 2**40), st.floats(0, 1))
def test_what_is_told_of_a_database_is_always_a_part(size, part):
    database = Database(size, int(size * part), DEFAULT_QUOTA)
    assert 0 <= database.fragmentation <= 1
    assert database.fill >= 0
    assert str(database).endswith("unused")


@pytest.mark.parametrize(
    ("configured", "quota"), [(None, DEFAULT_QUOTA), (0, DEFAULT_QUOTA), (5 * MIB, 5 * MIB), (-1, 0)]
)
def test_the_quota_is_etcds_own_where_none_is_set(configured, quota):
    config = {} if configured is None else {"quota-backend-bytes": configured}
    assert Database.of({"dbSize": 1}, Settings(etcd_config=config)).quota == quota
    assert Database.of({"dbSize": 1, "dbSizeQuota": 7}, Settings(etcd_config=config)).quota == 7
