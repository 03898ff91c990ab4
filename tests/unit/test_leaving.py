"""What is promised about who may leave a cluster, and about its end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.decisions import quorum
from etcd_steward.leaving import Count, choose_leaving, observer_of
from etcd_steward.resetting import choose_reset
from tests.engine.fakes import World

STRANGER = {"ID": 77, "name": "old", "peerURLs": ["https://198.18.99.99:2380"], "clientURLs": ["https://x:1"]}


@st.composite
def counts(draw):
    voters = draw(st.integers(1, 9))
    votes = draw(st.booleans())
    well = draw(st.booleans())
    others = voters - votes
    healthy = draw(st.integers(0, others)) + (votes and well)
    return Count(voters, healthy, votes, well)


@given(counts(), st.booleans())
def test_whoever_may_leave_leaves_a_quorum_behind_that_was_one_before(count, consent):
    if count.votes and count.against(consent=consent) is None:
        assert count.healthy >= quorum(count.voters)
        assert count.healthy_after >= quorum(count.voters_after)
        assert count.voters_after >= (1 if consent else 2)


@given(counts())
def test_a_healthy_voter_leaves_only_while_all_others_are_healthy(count):
    if count.votes and count.well and count.against(consent=True) is None:
        assert count.healthy == count.voters


@given(counts(), st.booleans())
def test_consent_never_forbids_anything(count, consent):
    if count.against(consent=False) is None:
        assert count.against(consent=consent) is None


@given(st.integers(1, 9), st.data())
def test_a_dead_voter_can_be_removed_from_every_cluster_that_has_a_quorum(voters, data):
    healthy = data.draw(st.integers(quorum(voters), voters))
    if healthy < voters:
        assert Count(voters, healthy, well=False).against(consent=True) is None


def test_one_of_two_voters_leaves_only_with_consent_and_the_last_never():
    assert Count(2, 2).against(consent=False)[0].startswith("2 voters, of which one would be left")
    assert Count(2, 2).against(consent=True) is None
    assert Count(1, 1).against(consent=True)[0].startswith("the last voter")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (Count(3, 3), "voters 3 -> 2, quorum 2 -> 2, healthy 3 -> 2"),
        (Count(5, 4, well=False), "voters 5 -> 4, quorum 3 -> 3, healthy 4 -> 4"),
        (Count(3, 3, votes=False), "voters 3 -> 3, quorum 2 -> 2, healthy 3 -> 3"),
    ],
)
def test_the_arithmetic_is_told(count, text):
    assert str(count) == text


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def leaving(world, called, *, unreached=(), down=(), limit=None):
    sight = world.sight(unreached)
    healthy = {world.member_id(one) for one in world.cluster.members if one.host not in (*unreached, *down)}
    return choose_leaving(sight, called, healthy, set(world.hosts) if limit is None else limit)


def complaints(found):
    return " | ".join(map(str, found.complaints))


def number(world, name):
    return world.record.members[name]


@pytest.mark.parametrize("form", ["{name}", "{id}", "0x{id}", "{url}", "@fake/{name}"])
def test_a_member_is_known_by_its_name_its_id_its_peer_url_or_its_host(world, form):
    member = world.cluster.members[1]
    called = form.format(name="n2", id=number(world, "n2"), url=member.peer_url)
    found = leaving(world, called)
    assert found.complaints == ()
    assert found.listed.id == int(number(world, "n2"), 16)
    assert found.member == member
    assert {"service", "data", member.settings.config_path} <= set(found.behind)
    assert observer_of(world.sight(), found).name == "n1"


@pytest.mark.parametrize("called", ["n", "2", "198.18.99", "https://198.18.99.1", "n22", "N2"])
def test_f40_a_part_of_a_name_or_of_an_address_is_nobody(world, called):
    found = leaving(world, called)
    assert "wanted one of n1 (" in complaints(found)
    assert not found.anything


def test_without_a_name_nobody_leaves(world):
    assert "found no etcd_member" in complaints(leaving(world, None))


def test_one_name_for_two_members_is_refused_and_the_id_decides(world):
    double = {**STRANGER, "name": "n2"}
    for host in world.hosts:
        world.show(host, "converged", strangers=(double,))
    assert "name it by its id" in complaints(leaving(world, "n2"))
    assert leaving(world, "4d").listed.id == 77


def test_a_member_that_the_inventory_does_not_know_leaves_by_its_name(world):
    for host in world.hosts:
        world.show(host, "converged", strangers=(STRANGER,))
    found = leaving(world, "old")
    assert (found.complaints, found.member, found.behind) == ((), None, ())
    assert str(found.count) == "voters 4 -> 3, quorum 3 -> 2, healthy 3 -> 3"


def test_a_member_that_is_gone_from_the_list_is_only_tidied_up(world):
    others = world.cluster.members[:2]
    for host in world.hosts:
        world.show(host, "converged", listed=others)
    world.show("@fake/n3", "stopped")
    found = leaving(world, "n3")
    assert found.complaints == ()
    assert found.listed is None
    assert "data" in found.behind


def test_a_member_of_the_record_that_is_gone_everywhere_is_already_gone(world):
    others = world.cluster.members[:2]
    for host in world.hosts:
        world.show(host, "converged", listed=others)
    world.show("@fake/n3", "empty")
    for called in ("n3", number(world, "n3")):
        found = leaving(world, called)
        assert (found.complaints, found.anything) == ((), False)


def test_a_host_with_other_data_than_the_members_is_left_alone(world):
    world.show("@fake/n3", "stopped", cluster_id=0xAB)
    assert "of cluster 00000000000000ab" in complaints(leaving(world, "n3"))


def test_nobody_leaves_without_a_quorum(world):
    for host in world.hosts:
        world.show(host, "stopped")
    assert "no quorum, so that no member can be removed" in complaints(leaving(world, "n3"))
    assert "restore from a snapshot" in complaints(leaving(world, "n3"))


def test_who_may_serve_all_the_same_is_not_sent_to_a_restore(world):
    for host in world.hosts:
        world.show(host, "unhealthy")
    told = complaints(leaving(world, "n3"))
    assert "no quorum that answers (@fake/n1: etcd started, and no answer in time" in told
    assert "restore" not in told


def test_a_healthy_member_does_not_leave_while_another_is_down(world):
    assert "voters 3 -> 2, quorum 2 -> 2, healthy 2 -> 1" in complaints(
        leaving(world, "n3", down=("@fake/n2",))
    )


def test_a_host_within_reach_is_not_left_out(world):
    assert "left out by --limit" in complaints(leaving(world, "n3", limit={"@fake/n1", "@fake/n2"}))
    assert leaving(world, "n3", unreached=("@fake/n3",), limit={"@fake/n1", "@fake/n2"}).complaints == ()


def reset(world, **more):
    return choose_reset(world.sight(more.get("unreached", ())), more.get("limit", set(world.hosts)))


def typed(tmp_path, name, **data):
    world = World(tmp_path / name, **data)
    again = World(tmp_path / name, formed=False, etcd_reset=world.record.id, **data)
    again.record, again.authorities = world.record, world.authorities
    for host in again.hosts:
        again.show(host, "converged")
    return again


def test_a_cluster_is_ended_only_by_its_own_id_which_no_refusal_tells(tmp_path, world):
    told = complaints(reset(world))
    assert "found no etcd_reset" in told
    wrong = typed(tmp_path, "wrong")
    for host in wrong.hosts:
        wrong.show(host, "converged", cluster_id=0xAB)
    told += complaints(reset(wrong))
    assert "traces of a cluster with another id" in told
    assert world.record.id not in told
    assert "00000000000000ab" not in told


def test_a_cluster_is_ended_on_all_hosts_within_reach_and_twice_is_no_more(tmp_path):
    right = typed(tmp_path, "right")
    found = reset(right)
    assert found.complaints == ()
    assert set(found.behind) == set(right.hosts)
    assert all(left[-1].startswith("/etc/etcd-steward/") for left in found.behind.values()), "the record last"
    assert "left out by --limit" in complaints(reset(right, limit={"@fake/n1"}))
    assert set(reset(right, unreached=("@fake/n3",)).behind) == {"@fake/n1", "@fake/n2"}
    for host in right.hosts:
        right.show(host, "empty")
    assert not reset(right).anything


def test_the_commands_value_survives_pyinfras_reading_of_numbers(tmp_path):
    assert json.loads("12") == 12, "what --data makes of digits"
    assert World(tmp_path, etcd_member=12).cluster.settings.etcd_member == "12"


def lists(world, host, change):
    """Let a host answer another list of members than it has."""
    lines = world.hosts[host].lines
    at = next(number for number, line in enumerate(lines) if line.startswith("etcd members "))
    told = json.loads(lines[at].removeprefix("etcd members "))
    change(told["members"])
    lines[at] = f"etcd members {json.dumps(told)}"


def swapped(members):
    members[1]["ID"], members[2]["ID"] = members[2]["ID"], members[1]["ID"]


LIES = {
    "ids swapped": swapped,
    "one left out": lambda members: members.pop(),
    "one more": lambda members: members.append(STRANGER),
    "another address": lambda members: members[2].update(peerURLs=["https://198.18.99.99:2380"]),
    "a learner": lambda members: members[2].update(isLearner=True),
    "nobody": lambda members: members.clear(),
}


@pytest.mark.parametrize("liar", ["@fake/n1", "@fake/n2", "@fake/n3"])
@pytest.mark.parametrize("lie", LIES)
def test_no_list_is_believed_that_another_healthy_member_contradicts(world, liar, lie):
    lists(world, liar, LIES[lie])
    sight = world.sight()
    refusals = [str(one) for one in sight.decide().refusals]
    assert any("members that disagree about who is in the cluster" in one for one in refusals)
    for name in ("n2", "n3"):
        assert choose_leaving(sight, name, {1, 2, 3}, set(sight.hosts)).complaints


@pytest.mark.parametrize("called", ["n3", "id", "url"])
def test_an_id_that_another_reached_host_carries_does_not_leave_whoever_lists_it(world, called):
    # Both that answer say so, and the host of the third cannot be asked.
    for host in ("@fake/n1", "@fake/n2"):
        lists(world, host, swapped)
    sight = world.sight(unreached=("@fake/n3",))
    second, third = sight.cluster.members[1:]
    word = {"n3": "n3", "id": f"{world.member_id(second):016x}", "url": third.peer_url}[called]
    assert choose_leaving(sight, word, {one.id for one in sight.seen.members}, set(sight.hosts)).complaints
