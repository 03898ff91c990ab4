"""What is promised about consent that was given: it is used, or refused with the command that works."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import etcd_steward
from etcd_steward import cli_mode, elsewhere
from etcd_steward.consents import READERS, unbroken, unforgotten, unread, unused
from etcd_steward.settings.verbs import VerbSettings
from etcd_steward.verbs import etcd, remove, renew, rotate_ca, status
from tests.engine.fakes import World, run_deploy
from tests.unit.plans import CLOSED, all_with_data, decided, host, hosts, listed, make_cluster, seen


class Planned:
    """As much of a job as is judged."""

    def __init__(self, states, answer, **data):
        cluster = make_cluster(**data)
        self.plan = decided(states, answer, {"the controller": CLOSED}, cluster=cluster)
        self.sight = type("Sight", (), {"cluster": cluster, "hosts": states, "seen": answer, "records": {}})


def told(states, answer, **data):
    return [str(complaint) for complaint in unused(Planned(states, answer, **data))]


def well(*names):
    return {
        name: replace(state, endpoint=replace(state.endpoint, healthy=name in names))
        for name, state in all_with_data().items()
    }


def test_a_member_with_its_data_that_is_down_is_replaced_where_it_is_named():
    planned = Planned(well("n1", "n2"), seen(), etcd_replace="n3")
    assert planned.plan.decisions["n3"].action == "replace"
    assert unused(planned) == []


@pytest.mark.parametrize("data", [{"etcd_replace": "n3"}, {"etcd_move_aside": ["n3"]}])
def test_consent_for_a_member_that_is_well_is_refused(data):
    (one,) = told(well("n1", "n2", "n3"), seen(), **data)
    assert "n3, which is healthy" in one
    assert f"take {next(iter(data))} out" in one


def test_data_of_a_present_member_is_moved_aside_by_the_consent_to_replace_it():
    (one,) = told(well("n1", "n2"), seen(), etcd_move_aside=["n3"])
    assert "etcd_replace=n3" in one


@pytest.mark.parametrize("data", [{"etcd_replace": "n9"}, {"etcd_move_aside": ["n3", "n9"]}])
def test_consent_for_an_unknown_member_is_refused(data):
    assert any(
        "with n9, wanted one of the members n1, n2, n3" in one for one in told(well("n1"), seen(), **data)
    )


def test_without_a_quorum_nobody_is_replaced_and_the_run_says_so():
    (one,) = told(well(), None, etcd_replace="n3")
    assert "no quorum answers" in one


def test_a_replacement_that_was_cut_goes_on_with_the_same_command():
    states = well("n1", "n2") | hosts(host("n3"))
    unstarted = replace(listed("n3"), name="", client_urls=(), learner=True)
    assert told(states, seen(listed("n1"), listed("n2"), unstarted), etcd_replace="n3") == []
    assert told(states, seen(listed("n1"), listed("n2")), etcd_replace="n3") == []


def test_every_order_for_one_run_names_the_verbs_that_read_it():
    # A permission that holds for every verb, or the shape of what is always done, is no order.
    standing = {
        "etcd_allow_even", "etcd_allow_open", "etcd_allow_volatile_data", "etcd_break_lock", "etcd_timeout", "etcd_min_free_mb", "etcd_snapshots", "etcd_snapshot_dir",
        "etcd_snapshot_hours", "etcd_snapshot_keep", "etcd_snapshot_days", "etcd_snapshot_command", "etcd_backup_dir",
        "etcd_output",
    }  # fmt: skip
    assert set(VerbSettings.model_fields) - standing <= set(READERS)
    verbs = {path.stem for path in (Path(etcd_steward.__file__).parent / "verbs").glob("*.py")}
    assert {verb for readers in READERS.values() for verb in readers} <= verbs


@pytest.mark.parametrize("key", sorted(READERS))
def test_data_that_no_verb_of_the_command_line_reads_is_refused(key):
    (one,) = unread([key, "etcd_version"], ["deploys/status.py"])
    assert f"deploys/{READERS[key][0]}.py" in str(one)
    assert unread([key], ["deploys/status.py", f"deploys/{READERS[key][0]}.py"]) == []
    assert unread([key], []) == []


@pytest.mark.parametrize(
    ("line", "verbs"),
    [
        (
            "pyinfra -y inventories/pi.py deploys/upgrade.py --data etcd_version=3.6.16",
            ("deploys/upgrade.py",),
        ),
        ("pyinfra a,b deploys/etcd.py ./deploys/status.py", ("deploys/etcd.py", "./deploys/status.py")),
        ("pyinfra inventories/pi.py deploys/etcd.py own.py", ()),
        ("pyinfra inventories/pi.py etcd_steward.verbs.etcd", ()),
    ],
)
def test_the_verbs_are_read_from_the_command_line(monkeypatch, line, verbs):
    monkeypatch.setattr(cli_mode.pyinfra, "is_cli", True)
    monkeypatch.setattr(sys, "argv", line.split())
    assert cli_mode.verbs() == verbs


# What names a cluster, a lock or a member that is not there.


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def configured(sight, **settings):
    members = [
        replace(one, settings=one.settings.model_copy(update=settings)) for one in sight.cluster.members
    ]
    return replace(sight, cluster=replace(sight.cluster, members=tuple(members)))


def test_a_cluster_of_which_there_is_no_trace_cannot_be_forgotten(world):
    sight = world.sight()
    assert unforgotten(sight) == []
    assert unforgotten(configured(sight, etcd_forget_cluster=world.record.id)) == []
    (told,) = unforgotten(configured(sight, etcd_forget_cluster="00000000000000aa"))
    assert world.record.id in str(told)
    # A run that was cut has put the controller's record aside, and goes on with the same command.
    (world.pki / "etcd" / "cluster.00000000000000aa.json").touch()
    assert unforgotten(configured(sight, etcd_forget_cluster="00000000000000aa")) == []


def test_where_nobody_holds_a_lock_none_is_broken(world):
    sight = configured(world.sight(), etcd_break_lock=True)
    (told,) = unbroken(sight)
    assert "etcd_break_lock" in told.found
    held = {**sight.hosts, "@fake/n2": replace(sight.hosts["@fake/n2"], lock="somebody")}
    assert unbroken(replace(sight, hosts=held)) == []
    assert unbroken(configured(world.sight(unreached=("@fake/n3",)), etcd_break_lock=True)) == []
    assert unbroken(world.sight()) == []


@pytest.mark.parametrize("verb", [etcd, remove, renew, status])
def test_a_lock_to_break_that_is_none_is_refused_by_every_verb_before_any_host_is_changed(world, verb):
    result = run_deploy(world.hosts, verb, data={"etcd_break_lock": True, "etcd_member": "n3"})
    assert "etcd_break_lock, and no lock on any host" in result.refused
    assert result.only_looked


def test_a_name_that_is_no_member_elsewhere_is_refused_by_a_restore(world, monkeypatch):
    listed_there = "n1=https://198.18.99.11:2380,n9=https://192.0.2.9:2380"
    monkeypatch.setattr(elsewhere, "ask", lambda *_: [listed_there])
    sight = replace(world.sight(), seen=None)
    (told,) = elsewhere.elsewhere(None, configured(sight, etcd_restore_without=["n9", "n7"]))
    assert "etcd_restore_without with n7, wanted a known member" in str(told)
    assert "n9" in str(told)
    assert elsewhere.elsewhere(None, configured(sight, etcd_restore_without=["n9"])) == []


def test_a_run_that_was_cut_is_finished_by_the_same_command_whatever_its_consents_named(world, monkeypatch):
    monkeypatch.setattr(elsewhere, "ask", lambda *_: ["n1=https://198.18.99.11:2380"])
    begun = replace(world.record, id="00000000000000bb", open=True)
    sight = replace(world.sight(), seen=None, records={"the controller": begun})
    sight = configured(sight, etcd_forget_cluster="00000000000000aa", etcd_restore_without=["n9"])
    assert elsewhere.elsewhere(None, sight) == []
    assert unforgotten(sight) == []


def test_authorities_that_are_here_are_not_taken_for_lost(world):
    result = run_deploy(world.hosts, rotate_ca, data={"etcd_ca_lost": True, "etcd_clients_ready": True})
    assert "etcd_ca_lost, while the authorities and their keys are here" in result.refused
    assert result.only_looked
