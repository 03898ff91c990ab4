"""The table that decides what may be done, row by row, and what must never be decided whatever is seen."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.identity import Identity
from etcd_steward.observed import (
    ClusterState,
    Data,
    Endpoint,
    File,
    HostState,
    ListedMember,
    Process,
    Service,
)
from etcd_steward.plan import decide, quorum
from etcd_steward.record import Record
from etcd_steward.settings import read_settings
from etcd_steward.topology import build_cluster, cluster_id, member_id

CONF = "/etc/etcd/conf.yml"
FOREIGN = 0xF0E1D2C3B4A59687
REMOVED = 0x1234567890ABCDEF
SENTENCE = re.compile(r".+: found .+, wanted .+; next: .+")


def make_cluster(count=3, **data):
    own = {
        f"n{number}": read_settings(f"n{number}", {"etcd_address": f"10.0.0.{number}", **data})[0]
        for number in range(1, count + 1)
    }
    cluster, complaints = build_cluster("pi", own, {}, {})
    assert complaints == []
    return cluster


CLUSTER = make_cluster()
TOKEN = "pi-3f9a01bc"
IDS = {member.name: member_id([member.peer_url], TOKEN) for member in CLUSTER.members}
CLUSTER_ID = cluster_id(IDS.values())
OPEN = Record(
    "pi",
    f"{CLUSTER_ID:016x}",
    TOKEN,
    open=True,
    members={name: f"{number:016x}" for name, number in IDS.items()},
)
CLOSED = OPEN.closed()
OTHER = replace(CLOSED, id=f"{FOREIGN:016x}", members={})
OUR_PROCESS = Process(7, "/usr/local/bin/etcd", CONF)
OTHER_PROCESS = Process(9, "/usr/bin/etcd", "")


def host(name, data="empty", **changes):
    """Make what a probe tells of one host; data as `empty`, `half`, `unknown`, or a member's name or id."""
    if isinstance(data, Data):
        found = data
    elif data in {"half", "unknown", "empty"}:
        found = Data(data, missing="the write-ahead log" if data == "half" else "")
    else:
        number, cluster = data if isinstance(data, tuple) else (IDS.get(data, data), CLUSTER_ID)
        found = Data("complete", Identity(number, cluster), size=20480)
    state = HostState(name, reached=True, problem="", uid=0, init="openrc", data=found)
    return replace(state, **changes)


def silent(name):
    return HostState(name, problem="no route to host")


def hosts(*states):
    return {state.host: state for state in states}


def all_empty(**changes):
    return hosts(*(host(name, **changes) for name in IDS))


def all_with_data(**changes):
    return hosts(*(host(name, name, **changes) for name in IDS))


def listed(name):
    member = CLUSTER.member(name)
    return ListedMember(IDS[name], name, (member.peer_url,), (member.client_url,), learner=False)


def seen(*members, **changes):
    told = members or tuple(map(listed, IDS))
    return replace(ClusterState(CLUSTER_ID, told, IDS["n1"], "n1"), **changes)


def unstarted(name):
    return replace(listed(name), name="", client_urls=())


def decided(states, answer=None, records=None, forget=None, cluster=CLUSTER):
    return decide(cluster, states, answer, records or {}, forget)


def rows(plan):
    return {name: (decision.row, decision.action) for name, decision in plan.decisions.items()}


def refused(states, answer=None, records=None, forget=None, cluster=CLUSTER):
    """Decide, and give all sentences of the refusal; there must be one."""
    plan = decided(states, answer, records, forget, cluster)
    assert plan.refusals
    return [str(refusal) for refusal in plan.refusals]


# Rows a and b: a cluster is made.


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_empty_hosts_without_any_trace_of_a_cluster_become_one(count):
    cluster = make_cluster(count)
    names = [member.name for member in cluster.members]
    plan = decided(hosts(*map(host, names)), cluster=cluster)
    assert rows(plan) == dict.fromkeys(names, ("a", "bootstrap"))
    assert plan.refusals == ()


@pytest.mark.parametrize("with_data", [(), ("n1",), ("n1", "n2"), ("n1", "n2", "n3")])
def test_b_f43_an_interrupted_bootstrap_is_finished_with_the_same_ids(with_data):
    states = hosts(*(host(name, name if name in with_data else "empty") for name in IDS))
    plan = decided(states, records={"the controller": OPEN, "n1": OPEN})
    assert rows(plan) == dict.fromkeys(IDS, ("b", "bootstrap"))
    assert plan.refusals == ()


def test_b_f43_a_member_that_never_started_is_finished_while_the_others_already_answer():
    plan = decided(
        hosts(host("n1", "n1"), host("n2", "n2"), host("n3")),
        seen(listed("n1"), listed("n2"), unstarted("n3")),
        {"the controller": OPEN},
    )
    assert rows(plan) == {"n1": ("g", "converge"), "n2": ("g", "converge"), "n3": ("b", "bootstrap")}
    assert plan.refusals == ()


def test_b_an_interrupted_bootstrap_waits_for_every_host():
    told = refused(hosts(host("n1"), host("n2", "n2"), silent("n3")), records={"the controller": OPEN})
    assert told == [
        "n3: found no answer, wanted an answer, to finish the interrupted bootstrap; next: bring this host back first"
    ]


def test_b_an_interrupted_bootstrap_is_not_finished_with_other_members():
    told = refused(
        all_empty(), records={"the controller": replace(OPEN, members={"n1": "1", "n2": "2", "x": "3"})}
    )
    assert told[0] == (
        "n1: found members n1, n2, x in the interrupted bootstrap, wanted the inventory's members; "
        f"next: run with the inventory of then, or forget it with --data etcd_forget_cluster={OPEN.id}"
    )
    assert len(told) == 3


def test_b_an_interrupted_bootstrap_is_not_finished_with_another_address():
    # The ids are made of token and URLs: the others would wait for a member that never comes.
    cluster = make_cluster(etcd_peer_port=2390)
    told = refused(all_empty(), records={"the controller": OPEN}, cluster=cluster)
    assert told[0] == (
        "n1: found the peer URL https://10.0.0.1:2390, another than in the interrupted bootstrap, "
        "wanted the same, as the members' ids are made of it; next: set etcd_address back; "
        "or move aside what that attempt left in the data folders of all hosts, "
        f"and forget it with --data etcd_forget_cluster={OPEN.id}"
    )


def test_b_data_that_the_interrupted_bootstrap_did_not_make_is_refused():
    told = refused(hosts(host("n1"), host("n2"), host("n3", REMOVED)), records={"the controller": OPEN})
    assert told == [
        f"n3: found data of member 1234567890abcdef of cluster {OPEN.id}, wanted none, or that of {OPEN.members['n3']} of {OPEN.id}; next: move it aside by hand"
    ]


def test_b_f02_a_cluster_of_which_one_record_is_closed_has_formed_and_is_not_made_again():
    # Records are closed one after the other; a run may be interrupted between two of them.
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    plan = decided(states, records={"the controller": OPEN, "n1": OPEN, "n2": CLOSED, "n3": OPEN})
    assert plan.acting("bootstrap") == []
    answer = seen(listed("n1"), listed("n2"), unstarted("n3"))
    plan = decided(states, answer, {"the controller": OPEN, "n2": CLOSED})
    assert rows(plan)["n3"] == ("h", "finish")


# Rows c to f: no quorum answers, and a cluster once formed.


def test_c_stopped_members_with_their_data_are_started_together():
    plan = decided(all_with_data(), records={"the controller": CLOSED})
    assert rows(plan) == dict.fromkeys(IDS, ("c", "start"))
    assert plan.refusals == ()
    assert plan.notes == ("no quorum answers; 3 of 3 hosts have data",)


@pytest.mark.parametrize("third", [host("n3"), silent("n3")])
def test_c_a_quorum_with_data_is_started_and_the_third_host_left_alone(third):
    plan = decided(hosts(host("n1", "n1"), host("n2", "n2"), third), records={"n1": CLOSED})
    assert plan.refusals == ()
    assert [rows(plan)[name][1] for name in IDS] == ["start", "start", "wait"]


def test_c_members_are_started_even_where_every_record_was_lost():
    assert decided(all_with_data()).acting("start") == ["n1", "n2", "n3"]


def test_d_data_below_quorum_while_hosts_are_unknown_is_refused_and_the_hosts_named():
    assert refused(hosts(host("n1", "n1"), silent("n2"), silent("n3"))) == [
        (
            "n2, n3: found no answer, while only 1 of 3 hosts have data, wanted data on 2; "
            "next: bring these hosts back first"
        )
    ]


def test_d_an_unknown_host_is_never_taken_for_an_empty_one():
    assert refused(hosts(host("n1"), host("n2"), silent("n3"))) == [
        (
            "n3: found no answer, wanted an answer, as an unknown host is never taken for an empty one; "
            "next: bring these hosts back first"
        )
    ]


def test_e_data_below_quorum_with_all_others_empty_points_at_restore_and_at_the_survivor():
    assert refused(hosts(host("n1"), host("n2", "n2"), host("n3")), records={"n2": CLOSED}) == [
        (
            "pi: found data on n2 only, and empty folders elsewhere, wanted data on 2 hosts; "
            "next: mount the missing disks; if they are lost, run deploys/restore.py, with a snapshot, or with --data etcd_snapshot=from:n2"
        )
    ]


def test_f_f01_a_record_without_any_data_is_a_missing_mount_until_somebody_forgets_it():
    assert refused(all_empty(), records={"the controller": CLOSED}) == [
        (
            f"the controller: found a record of cluster {CLOSED.id}, but no data anywhere, "
            "wanted its data (is a mount missing, or a path changed?); next: mount the disks or set the path back; "
            f"else run deploys/restore.py; to make a new, empty cluster: --data etcd_forget_cluster={CLOSED.id}"
        )
    ]


def test_f_a_changed_data_folder_is_told_with_both_paths():
    states = all_empty() | hosts(host("n2", record={**json.loads(CLOSED.text()), "data_dir": "/srv/etcd"}))
    (told,) = refused(states, records={"n2": CLOSED})
    assert told.startswith(
        f"n2: found a record of cluster {CLOSED.id} with its data in /srv/etcd, but none in /var/lib/etcd, wanted"
    )


def test_f_f02_a_configuration_that_says_existing_is_evidence_without_any_record():
    states = all_empty() | hosts(host("n3", formed=True))
    assert refused(states) == [
        (
            "n3: found a configuration of a cluster that had formed, but no data, wanted its data (is a mount missing?); "
            "next: mount the disk; else run deploys/restore.py, or move the configuration file aside"
        )
    ]


@pytest.mark.parametrize("forget", [None, "abc"])
def test_f_a_record_that_cannot_be_read_is_evidence(forget):
    (told,) = refused(all_empty() | hosts(host("n3", record={})), forget=forget)
    assert told.startswith(
        "n3: found a record of a cluster that cannot be read, and no data, wanted its data"
    )


def test_f_a_cluster_that_is_named_can_be_forgotten():
    states = all_empty(formed=True, record=json.loads(CLOSED.text()))
    records = {"the controller": CLOSED, **dict.fromkeys(IDS, CLOSED)}
    assert decided(states, records=records, forget=CLOSED.id).acting("bootstrap") == ["n1", "n2", "n3"]


def test_f_to_forget_another_cluster_forgets_nothing():
    states = all_empty() | hosts(host("n1", formed=True))
    assert decided(states, forget=f"{FOREIGN:016x}").refusals
    assert decided(all_empty(), records={"n1": CLOSED}, forget=f"{FOREIGN:016x}").refusals


def test_f_to_forget_a_cluster_never_empties_a_host_that_has_its_data():
    states = hosts(host("n1", "n1"), host("n2"), host("n3"))
    assert refused(states, records={"n1": CLOSED}, forget=CLOSED.id)[0].startswith(
        "pi: found data on n1 only"
    )


@pytest.mark.parametrize("answer", [None, seen()])
def test_f_another_etcd_on_the_host_is_refused(answer):
    states = (all_with_data() if answer else all_empty()) | hosts(
        host("n2", "n2" if answer else "empty", processes=(OTHER_PROCESS,))
    )
    assert refused(states, answer) == [
        (
            "n2: found an etcd that is not ours (process 9, /usr/bin/etcd), wanted no other etcd on the host; "
            "next: stop and disable it, or take the host out of the inventory"
        )
    ]


def test_f_a_service_definition_of_somebody_else_is_refused():
    states = all_empty() | hosts(host("n2", foreign_units=("/lib/systemd/system/etcd.service",)))
    (told,) = refused(states)
    assert told.startswith(
        "n2: found a service definition that is not ours (/lib/systemd/system/etcd.service), wanted"
    )


def test_f_a_packages_unit_below_our_own_definition_stops_nothing():
    ours = "/etc/systemd/system/etcd.service"
    states = all_empty(
        foreign_units=("/lib/systemd/system/etcd.service",),
        files={ours: File("0" * 64, "644", "root:root", ours=True)},
        service=Service(exists=True, definition=ours),
    )
    assert decided(states).refusals == ()


# Rows g to q: a quorum answers.


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
        "n1: found etcd's authentication enabled, and no rights for us, wanted the user etcd-steward"
    )


def test_h_f09_a_failed_join_is_finished_and_never_removed_and_added():
    states = hosts(host("n1", "n1"), host("n2", "n2"), host("n3"))
    plan = decided(states, seen(listed("n1"), listed("n2"), unstarted("n3")), {"the controller": CLOSED})
    assert (rows(plan)["n3"], plan.refusals) == (("h", "finish"), ())


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


def test_i_a_member_that_has_its_data_is_not_replaced_even_where_it_is_named():
    plan = decided(all_with_data(), seen(), cluster=make_cluster(etcd_replace="n3"))
    assert rows(plan)["n3"] == ("g", "converge")


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


# Whatever is seen.

TRACES = [
    {"reached": False, "problem": "no answer"},
    {"data": Data("unknown")},
    {"data": Data("half")},
    {"data": Data("complete", Identity(1, 2))},
    {"formed": True},
    {"processes": (OUR_PROCESS,)},
    {"processes": (OTHER_PROCESS,)},
    {"foreign_units": ("/etc/init.d/etcd",)},
]


@pytest.mark.parametrize("trace", TRACES, ids=str)
@pytest.mark.parametrize("name", IDS)
def test_one_trace_on_one_host_is_enough_that_no_cluster_is_made(name, trace):
    states = all_empty()
    states[name] = replace(states[name], **trace)
    plan = decided(states)
    assert plan.refusals or not plan.acting("bootstrap")


CHANGES = [
    *([{}] * 8),
    *({"formed": True}, {"processes": (OUR_PROCESS,)}, {"processes": (OTHER_PROCESS,)}, {"uid": 1000}),
    *({"reached": False}, {"foreign_units": ("/etc/init.d/etcd",)}),
]
RECORDS = [None, None, OPEN, OPEN, CLOSED, OTHER]


def hosts_with(*kinds):
    """Draw three hosts and their records; kinds of data as `host` takes them, `own` for the host's own."""
    return st.tuples(
        *(
            st.builds(
                lambda data, changes, record, name=name: (
                    host(
                        name,
                        name if data == "own" else data,
                        record=json.loads(record.text()) if record else None,
                        **changes,
                    ),
                    record,
                ),
                st.sampled_from(kinds),
                st.sampled_from(CHANGES),
                st.sampled_from(RECORDS),
            )
            for name in IDS
        ),
    )


ENTRIES = [
    *map(listed, IDS),
    *map(unstarted, IDS),
    replace(listed("n3"), learner=True),
    replace(listed("n2"), id=REMOVED),
]
WORLDS = st.tuples(
    hosts_with("empty")
    | hosts_with("empty", "own")
    | hosts_with("empty", "half", "unknown", "own", *IDS, REMOVED, (IDS["n2"], FOREIGN)),
    st.sampled_from([None, seen(), seen(id=FOREIGN)])
    | st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=4).map(lambda members: seen(*members)),
    st.sampled_from(RECORDS),
    st.sampled_from([None, CLOSED.id, OTHER.id, "abc"]),
)


def laid_out(world):
    """Give what `decide` takes."""
    pairs, answer, here, forget = world
    records = {state.host: record for state, record in pairs if record} | (
        {"the controller": here} if here else {}
    )
    return {state.host: state for state, _ in pairs}, answer, records, forget


@settings(max_examples=600)
@given(WORLDS)
def test_whatever_is_seen_no_cluster_is_made_over_what_may_be_one(world):
    states, answer, records, forget = laid_out(world)
    plan = decide(CLUSTER, states, answer, records, forget)

    assert set(plan.decisions) == set(states)
    assert all(SENTENCE.fullmatch(str(refusal)) for refusal in plan.refusals)
    if plan.refusals:
        return
    made = plan.acting("bootstrap")
    live = {place: record for place, record in records.items() if record.id != forget}
    if made and not live:
        assert answer is None
        assert made == list(IDS)
        for state in states.values():
            assert state.reached
            assert state.data.value == "empty"
            assert not state.processes
            assert not state.formed or (state.record or {}).get("id") == forget
    elif made:
        assert all(record.open and record.id == OPEN.id for record in live.values())
        for name in made:
            own = states[name].data
            assert own.value == "empty" or own.identity == Identity(IDS[name], CLUSTER_ID)
            if answer is not None:
                assert not next(
                    one.client_urls
                    for one in answer.members
                    if CLUSTER.member(name).peer_url in one.peer_urls
                )
    for name, decision in plan.decisions.items():
        state = states[name]
        if not state.reached:
            assert decision.action == "wait"
        if state.data.value in {"half", "unknown"} and state.reached:
            raise AssertionError("a host that cannot be judged was not refused")
        if decision.action in {"start", "converge"}:
            assert state.data.identity is not None
        if decision.action == "start":
            assert answer is None
        if decision.action in {"join", "finish", "move", "replace"}:
            assert answer is not None
            # Nothing was named that may be replaced or moved aside.
            assert decision.action != "replace"
            assert decision.action != "join" or state.data.value == "empty"
        if decision.action == "converge":
            assert answer is not None
            assert state.data.identity.cluster == answer.id


@given(WORLDS)
def test_the_order_in_which_hosts_answer_changes_nothing(world):
    states, answer, records, forget = laid_out(world)
    backwards = dict(reversed(states.items()))
    assert decide(CLUSTER, backwards, answer, records, forget) == decide(
        CLUSTER, states, answer, records, forget
    )
