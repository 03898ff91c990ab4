"""Rows a to f of the table: no quorum answers, so a cluster is made, started, or left alone."""

import json
from dataclasses import replace

import pytest

from etcd_steward.observed import (
    File,
    Service,
)
from tests.unit.plans import (
    CLOSED,
    FOREIGN,
    IDS,
    OPEN,
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


@pytest.mark.parametrize("running", [(), (OUR_PROCESS,)])
def test_b_f43_a_first_start_that_has_no_log_yet_is_an_interrupted_bootstrap(running):
    states = hosts(*(host(name, "begun", processes=running) for name in IDS))
    plan = decided(states, records={"the controller": OPEN, "n1": OPEN})
    assert (rows(plan), plan.refusals) == (dict.fromkeys(IDS, ("b", "bootstrap")), ())
    assert refused(states)
    assert refused(states, records={"the controller": OPEN, "n1": CLOSED})
    states["n2"] = host("n2", "half", processes=running)
    assert refused(states, records={"the controller": OPEN})


def test_o_a_log_on_a_disk_that_may_not_be_mounted_is_not_a_first_start():
    cluster = make_cluster(etcd_wal_dir="/mnt/wal")
    states = hosts(*(host(name, "begun") for name in IDS))
    assert refused(states, records={"the controller": OPEN}, cluster=cluster)
    states = hosts(*(host(name, "begun", processes=(OUR_PROCESS,)) for name in IDS))
    assert decided(states, records={"the controller": OPEN}, cluster=cluster).refusals == ()


def test_b_an_interrupted_bootstrap_waits_for_every_host():
    told = refused(hosts(host("n1"), host("n2", "n2"), silent("n3")), records={"the controller": OPEN})
    assert told == [
        "n3: found no answer (no route to host), wanted an answer, to finish the interrupted bootstrap; next: bring this host back first"
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
            "n2, n3: found no answer (no route to host), while only 1 of 3 hosts have data, wanted data on 2; "
            "next: bring these hosts back first"
        )
    ]


def test_d_an_unknown_host_is_never_taken_for_an_empty_one():
    assert refused(hosts(host("n1"), host("n2"), silent("n3"))) == [
        (
            "n3: found no answer (no route to host), wanted an answer, as an unknown host is never taken for an empty one; "
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


def test_f_where_nobody_can_look_for_processes_no_cluster_is_made():
    (told,) = refused(hosts(host("n1"), host("n2", blind=("processes",)), host("n3")))
    assert told.startswith(
        "n2: found no way to see its processes, wanted a proof that no etcd runs on the host"
    )
    # Beside its own data nothing begins.
    assert decided(all_with_data(blind=("processes",)), records={"n1": CLOSED}).refusals == ()
