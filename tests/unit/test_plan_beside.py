"""Rows g to q of the table: hosts beside a cluster that answers."""

from dataclasses import replace

import pytest

from etcd_steward.observed import (
    Data,
    Endpoint,
    ListedMember,
)
from etcd_steward.plan import quorum
from tests.unit.plans import (
    CLOSED,
    CLUSTER_ID,
    FOREIGN,
    IDS,
    OPEN,
    OTHER,
    OTHER_PROCESS,
    OUR_PROCESS,
    REMOVED,
    all_empty,
    all_with_data,
    decided,
    host,
    hosts,
    listed,
    make_cluster,
    refused,
    rows,
    seen,
    silent,
    unstarted,
)


def test_g_members_with_their_own_data_are_converged():
    plan = decided(all_with_data(), seen(), {"the controller": CLOSED})
    assert rows(plan) == dict.fromkeys(IDS, ("g", "converge"))
    assert (plan.refusals, plan.notes) == ((), ())


def test_g_a_member_that_is_down_stays_a_member_while_the_others_answer():
    plan = decided(hosts(host("n1", "n1"), host("n2", "n2"), silent("n3")), seen())
    assert rows(plan)["n3"] == ("d", "wait")
    assert plan.refusals == ()


@pytest.mark.parametrize("said", ["etcdserver: permission denied", "etcdserver: user name is empty"])
def test_g_etcds_authentication_without_rights_for_us_is_told_with_the_commands_that_give_them(said):
    states = all_with_data() | hosts(host("n1", "n1", endpoint=Endpoint(healthy=True, denied=said)))
    (told,) = refused(states, seen())
    assert told.startswith(
        f"n1: found etcd's authentication enabled, and no rights for us ({said}), wanted the user etcd-steward"
    )


def test_h_f09_a_failed_join_is_finished_and_never_removed_and_added():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    plan = decided(states, seen(listed("n1"), listed("n2"), unstarted("n3")), {"the controller": CLOSED})
    assert (rows(plan)["n3"], plan.refusals) == (("h", "finish"), ())


def test_h_a_join_that_was_cut_before_it_had_a_log_is_finished():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3", "begun"))
    plan = decided(states, seen(listed("n1"), listed("n2"), unstarted("n3")))
    assert (rows(plan)["n3"], plan.refusals) == (("h", "finish"), ())
    assert refused(states, seen())
    assert refused(states, seen(listed("n1"), listed("n2")), {"n3": OPEN}), "it is no member"


def test_h_f09_a_learner_with_its_data_is_finished():
    learner = replace(listed("n3"), learner=True)
    plan = decided(all_with_data(), seen(listed("n1"), listed("n2"), learner))
    assert (rows(plan)["n3"], plan.refusals) == (("h", "finish"), ())


def test_h_a_learner_that_has_lost_its_data_is_not_started_empty():
    learner = replace(listed("n3"), learner=True)
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    assert refused(states, seen(listed("n1"), listed("n2"), learner))


def test_i_f02_f03_a_member_that_lost_its_data_is_never_started_empty():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    assert refused(states, seen(), {"the controller": CLOSED}) == [
        (
            f"n3: found no data in /var/lib/etcd, though the cluster knows this member ({IDS['n3']:016x}), wanted its data; "
            "next: mount its disk; if the disk is lost for ever, run with --data etcd_replace=n3. It is never started empty"
        )
    ]


def test_i_only_the_named_member_is_replaced():
    states = hosts(host("n1", "n1"), host("n2"), host("n3"))
    plan = decided(states, seen(), {"the controller": CLOSED}, cluster=make_cluster(etcd_replace="n3"))
    assert rows(plan)["n3"] == ("i", "replace")
    assert [str(refusal).partition(":")[0] for refusal in plan.refusals] == ["n2"]


@pytest.mark.parametrize(("healthy", "decision"), [(True, ("g", "converge")), (False, ("i", "replace"))])
def test_i_a_member_that_has_its_data_is_replaced_only_where_it_is_down_too(healthy, decision):
    states = all_with_data() | {"n3": replace(all_with_data()["n3"], endpoint=Endpoint(healthy=healthy))}
    plan = decided(states, seen(), cluster=make_cluster(etcd_replace="n3"))
    assert rows(plan)["n3"] == decision


@pytest.mark.parametrize("answer", [None, seen()])
def test_i_what_cannot_be_read_is_not_replaced_even_where_it_is_named(answer):
    for data in ("half", "unknown"):
        states = all_with_data() | hosts(host("n3", data))
        assert refused(states, answer, cluster=make_cluster(etcd_replace="n3", etcd_move_aside=["n3"]))


def test_i_f02_an_open_record_is_no_licence_to_start_a_known_member_empty():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    assert decided(states, seen(), {"the controller": OPEN}).acting("bootstrap") == []
    assert refused(states, seen(), {"the controller": OPEN})


def test_i_f49_a_new_host_with_an_old_members_address_is_refused():
    member = replace(listed("n3"), name="old")
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    (told,) = refused(states, seen(listed("n1"), listed("n2"), member))
    assert (
        told
        == "n3: found the peer URL of old, wanted a peer URL of n3's own; next: correct etcd_name or etcd_address"
    )


@pytest.mark.parametrize("answer", [None, seen()])
def test_j_a_process_without_data_at_its_path_is_refused_and_not_restarted(answer):
    states = all_with_data() | hosts(
        host("n2", processes=(OUR_PROCESS,), record={"data_dir": "/srv/etcd", "id": CLOSED.id})
    )
    assert refused(states, answer, {"n2": CLOSED}) == [
        (
            "n2: found etcd runs (process 7), but /var/lib/etcd holds no data; its record says /srv/etcd, "
            "wanted the running member's data there; "
            "next: set etcd_data_dir back, or mount the disk again; do not restart this member"
        )
    ]


def test_k_a_member_whose_peer_url_differs_is_moved():
    member = replace(listed("n3"), peer_urls=("https://10.9.9.9:2380",))
    plan = decided(all_with_data(), seen(listed("n1"), listed("n2"), member))
    assert (rows(plan)["n3"], plan.refusals) == (("k", "move"), ())


def test_k_f11_a_learner_is_never_moved_as_old_releases_would_promote_it():
    member = replace(listed("n3"), peer_urls=("https://10.9.9.9:2380",), learner=True)
    (sentence,) = refused(all_with_data(), seen(listed("n1"), listed("n2"), member))
    assert "n3: found a learner listed with https://10.9.9.9:2380, wanted https://10.0.0.3:2380" in sentence
    assert f"deploys/remove.py --data etcd_member={IDS['n3']:016x}" in sentence


def test_k_f40_addresses_are_compared_whole():
    # 10.0.0.1 is the beginning of 10.0.0.11 and of 10.0.0.13.
    members = [
        replace(listed(name), peer_urls=(f"https://10.0.0.1{number}:2380",))
        for number, name in enumerate(IDS, 1)
    ]
    plan = decided(all_with_data(), seen(*members))
    assert [decision.row for decision in plan.decisions.values()] == ["k", "k", "k"]
    assert len(plan.notes) == 3


def test_k_an_empty_host_whose_name_is_listed_with_another_address_is_refused():
    member = replace(listed("n3"), peer_urls=("https://10.9.9.9:2380",))
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    (told,) = refused(states, seen(listed("n1"), listed("n2"), member))
    assert told == (
        "n3: found the name n3, listed with https://10.9.9.9:2380, wanted https://10.0.0.3:2380; next: correct etcd_name or etcd_address"
    )


def test_l_an_empty_host_that_is_not_listed_joins():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    plan = decided(states, seen(listed("n1"), listed("n2")), {"the controller": CLOSED})
    assert (rows(plan)["n3"], plan.refusals) == (("l", "join"), ())


def test_l_a_host_that_does_not_answer_does_not_join():
    plan = decided(hosts(host("n1", "n1"), host("n2", "n2"), silent("n3")), seen(listed("n1"), listed("n2")))
    assert rows(plan)["n3"][1] == "wait"


@pytest.mark.parametrize("answer", [None, seen()])
@pytest.mark.parametrize("running", [(), (OUR_PROCESS,)])
def test_m_one_identity_on_two_hosts_is_refused_on_both(answer, running):
    states = hosts(host("n1", "n1"), host("n2", "n1", processes=running), host("n3", "n3"))
    told = refused(states, answer, {"n1": CLOSED})
    assert [text.partition(", next")[0].partition(", wanted")[0] for text in told] == [
        "n1: found the same data as on n2",
        "n2: found the same data as on n1",
    ]


@pytest.mark.parametrize("answer", [None, seen()])
def test_m_f49_a_clone_is_refused_while_its_original_is_away(answer):
    states = hosts(host("n1", "n1"), host("n2", "n3"), silent("n3"))
    assert refused(states, answer, {"n1": CLOSED}) == [
        (
            "n2: found the data of n3, wanted data of its own; "
            "next: this host is a clone of n3: stop its etcd and reinstall it, or take it out of the inventory"
        )
    ]


def test_m_disks_that_were_swapped_between_two_hosts_are_refused():
    told = refused(hosts(host("n1", "n1"), host("n2", "n3"), host("n3", "n2")), records={"n1": CLOSED})
    assert [text.partition(", wanted")[0] for text in told] == [
        "n2: found the data of n3",
        "n3: found the data of n2",
    ]


def test_n_f05_f06_data_of_a_removed_member_is_refused():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3", REMOVED))
    assert refused(states, seen()) == [
        (
            "n3: found data of a removed member in /var/lib/etcd (id 1234567890abcdef), wanted data of a present member, or none; "
            "next: if this data is not needed, stop etcd there and run with --data etcd_move_aside=n3"
        )
    ]


def test_n_f06_data_of_another_cluster_is_refused():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3", (IDS["n3"], FOREIGN)))
    (told,) = refused(states, seen())
    assert told.startswith(
        f"n3: found data of another cluster in /var/lib/etcd (id {FOREIGN:016x}), wanted data of cluster {CLUSTER_ID:016x}, or none"
    )


@pytest.mark.parametrize("data", [REMOVED, (REMOVED, FOREIGN)])
def test_n_only_the_data_of_the_named_member_is_moved_aside_and_only_while_it_is_stopped(data):
    states = hosts(host("n1", "n1"), host("n2", data), host("n3", "n3"))
    cluster = make_cluster(etcd_move_aside=["n2"])
    assert rows(decided(states, seen(), cluster=cluster))["n2"] == ("n", "join")
    assert refused(states, seen(), cluster=make_cluster(etcd_move_aside=["n3"]))
    states["n2"] = replace(states["n2"], processes=(OUR_PROCESS,))
    assert refused(states, seen(), cluster=cluster)


def test_n_data_of_a_present_member_is_never_moved_aside():
    cluster = make_cluster(etcd_move_aside=["n1", "n2", "n3"])
    assert decided(all_with_data(), seen(), cluster=cluster).acting("join") == []
    assert decided(all_with_data(), None, {"n1": CLOSED}, cluster=cluster).acting("join") == []


@pytest.mark.parametrize("answer", [None, seen()])
def test_o_half_a_data_folder_is_refused_and_the_missing_half_named(answer):
    assert refused(all_with_data() | hosts(host("n2", "half")), answer) == [
        (
            "n2: found half a data folder in /var/lib/etcd: the write-ahead log is missing, wanted both halves; "
            "next: mount or bring back what is missing; else replace the member"
        )
    ]


@pytest.mark.parametrize("answer", [None, seen()])
def test_o_a_folder_that_could_not_be_read_is_refused(answer):
    states = (all_with_data() if answer else all_empty()) | hosts(
        host("n2", data=Data("unknown", missing="/var/lib/etcd/member"))
    )
    (told,) = refused(states, answer)
    assert told.startswith(
        "n2: found a data folder that could not be read (/var/lib/etcd/member), wanted one that can"
    )


def test_o_a_login_that_cannot_look_is_told_how_to_get_root():
    told = refused(all_empty(data=Data(), uid=1000))
    assert told[0] == (
        "n1: found a login without root's rights, wanted root; next: set _sudo = True (or _doas = True) in the inventory"
    )


@pytest.mark.parametrize("answer", [None, seen()])
def test_p_records_of_two_clusters_are_refused(answer):
    told = refused(all_with_data(), answer, {"the controller": OTHER, "n1": CLOSED})
    assert told[0].startswith(
        f"pi: found more than one cluster id (the controller: {OTHER.id}; n1: {CLOSED.id}"
    )
    assert "wanted one; next: this is the wrong inventory, the wrong controller or a reused host" in told[0]


def test_p_f42_a_cluster_that_is_not_the_recorded_one_is_refused():
    (told,) = refused(all_with_data(), seen(), {"the controller": OTHER})
    assert f"the running cluster (asked on n1): {CLUSTER_ID:016x}" in told


def test_p_stopped_data_that_is_not_of_the_recorded_cluster_is_refused():
    (told,) = refused(all_with_data(), records={"the controller": OTHER})
    assert told.startswith(f"pi: found data of other clusters (n1: {CLUSTER_ID:016x}; n2: ")
    assert f"wanted data of cluster {OTHER.id}; next: find out where it comes from" in told


def test_p_stopped_data_of_two_clusters_is_refused_even_without_a_record():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3", (IDS["n3"], FOREIGN)))
    (told,) = refused(states)
    assert "wanted data of one cluster; next: find out where it comes from" in told


def test_q_a_member_outside_the_inventory_is_reported_and_nothing_more():
    stranger = ListedMember(
        REMOVED, "old", ("https://10.9.9.9:2380",), ("https://10.9.9.9:2379",), learner=False
    )
    plan = decided(all_with_data(), seen(*map(listed, IDS), stranger))
    assert plan.notes == (
        "member old (1234567890abcdef, https://10.9.9.9:2380) is in the cluster, but not in the inventory",
    )
    assert rows(plan) == dict.fromkeys(IDS, ("g", "converge"))


def test_all_refusals_of_all_hosts_are_told_at_once():
    states = hosts(host("n1", "half"), host("n2", "n3"), host("n3", processes=(OTHER_PROCESS,)))
    told = refused(states, records={"the controller": CLOSED, "n1": OTHER})
    assert [text.partition(":")[0] for text in told] == ["n1", "n2", "n3", "pi"]


@pytest.mark.parametrize(("voters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_a_quorum_is_the_smallest_majority(voters, needed):
    assert quorum(voters) == needed
