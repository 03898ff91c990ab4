"""What is promised about `deploys/etcd.py`, with pyinfra's real engine over pretended hosts."""

import re

import pytest

from etcd_steward.verbs import (
    backup,
    etcd,
    maintain,
    remove,
    renew,
    reset,
    restore,
    rotate_ca,
    status,
    upgrade,
)
from tests.engine.common import (
    HOSTS,
    MODES,
    N2,
    N3,
    SLOWER,
    another_cluster,
    another_etcd,
    another_machine,
    clone,
    counts,
    cut_short,
    everything_below,
    half,
    lost_disk,
    no_rights,
    only_looked,
    other_authority,
    silent_probe,
    unreachable,
)
from tests.engine.fakes import World, run_deploy
from tests.engine.living import Living

# A cluster that is as it should be.


@pytest.mark.parametrize("mode", MODES)
def test_f01_a_converged_cluster_costs_one_command_a_host_and_nothing_is_changed(world, tmp_path, mode):
    before = everything_below(tmp_path)
    result = run_deploy(world.hosts, etcd, mode=mode)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 1)
    assert only_looked(result)
    assert everything_below(tmp_path) == before


def test_with_the_prompt_a_converged_cluster_is_looked_at_twice(world):
    result = run_deploy(world.hosts, etcd, yes=False)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 2)
    assert only_looked(result)


def test_a_dry_run_of_a_converged_cluster_costs_one_command_a_host(world):
    result = run_deploy(world.hosts, etcd, mode="dry")
    assert result.refused == ""
    assert counts(result) == dict.fromkeys(HOSTS, 1)
    assert only_looked(result)


def test_under_a_limit_all_members_are_read_and_only_the_named_are_changed(world):
    living = Living(world)
    result = run_deploy(living.hosts, etcd, limit=[N2])
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 1)
    result = run_deploy(living.hosts, etcd, limit=[N2], data=SLOWER)
    assert (result.refused, result.failed) == ("", set())
    assert {host for host, _ in living.events} == {N2}


def test_a_reordered_inventory_changes_nothing(world):
    result = run_deploy(dict(reversed(world.hosts.items())), etcd)
    assert (result.refused, result.failed) == ("", set())
    assert only_looked(result)


def test_a_systemd_cluster_is_converged_by_the_same_commands(tmp_path):
    result = run_deploy(World(tmp_path, init="systemd").hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result) == dict.fromkeys(HOSTS, 1)


def test_hosts_of_other_groups_are_not_asked(world):
    stranger = World(world.pki.parent / "other", ("web",), etcd_inventory_group="web").hosts["@fake/web"]
    stranger.data = {"fake_delay": 0, "fake_delay_jitter": 0}
    result = run_deploy({**world.hosts, stranger.name: stranger}, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert counts(result)["@fake/web"] == 0


# What is refused.


@pytest.mark.parametrize("away", [unreachable, cut_short, silent_probe])
def test_a_host_that_does_not_answer_is_never_an_empty_one(fresh, away):
    away(fresh)
    result = run_deploy(fresh.hosts, etcd)
    told = (
        rf"{N3}: found no answer \(.+\), wanted an answer, as an unknown host is never taken for an empty one"
    )
    assert re.search(told, result.refused)
    assert only_looked(result)
    assert not fresh.pki.exists()


@pytest.mark.parametrize(
    "damage",
    [half, clone, lost_disk, no_rights, another_etcd, another_machine, another_cluster, other_authority],
)
@pytest.mark.parametrize("mode", ["", "dry"])
def test_a_refused_run_looks_and_does_nothing_else(world, tmp_path, damage, mode):
    damage(world)
    before = everything_below(tmp_path)
    result = run_deploy(Living(world).hosts, etcd, mode=mode, data=SLOWER)
    assert result.refused.startswith("refused, no host was changed:\n")
    for line in result.refused.splitlines()[1:]:
        assert re.fullmatch(r"    \S+: found .+, wanted .+; next: .+", line)
    assert only_looked(result)
    assert not any(result.uploads.values())
    assert everything_below(tmp_path) == before


def nameless(world):
    """Let a name of a member have no address on n2 any more."""
    world.hosts[N2].lines.insert(-1, "unresolved n9.example.org")


@pytest.mark.parametrize("verb", [etcd, upgrade])
def test_a_name_that_stopped_resolving_is_told_before_a_formed_member_is_restarted(world, verb):
    nameless(world)
    data = SLOWER if verb is etcd else {"etcd_version": "3.6.17"} | {"etcd_sha256": "0" * 64}
    result = run_deploy(Living(world).hosts, verb, data=data)
    assert f"{N2}: found no address for the name n9.example.org" in result.refused
    assert only_looked(result)


def test_where_nobody_is_restarted_a_name_without_address_stops_nothing_and_status_tells_it(world):
    nameless(world)
    assert run_deploy(Living(world).hosts, etcd).refused == ""
    result = run_deploy(world.hosts, status)
    assert result.failed == set()
    assert f"{N2}: found no address for the name n9.example.org" in result.stdout


def one_machine(world):
    """Let n3 be another name of the machine n2: all that it tells, its data too."""
    world.hosts[N3].lines = list(world.hosts[N2].lines)


@pytest.mark.parametrize("verb", [backup, etcd, maintain, remove, renew, reset, restore, rotate_ca, upgrade])
@pytest.mark.parametrize("mode", ["", "dry"])
def test_two_names_of_one_machine_are_told_as_that_by_every_verb_before_any_change(
    world, tmp_path, verb, mode
):
    one_machine(world)
    before = everything_below(tmp_path)
    result = run_deploy(Living(world).hosts, verb, mode=mode, data=SLOWER)
    assert f"{N3}: found the machine that {N2} leads to as well" in result.refused
    assert "clone" not in result.refused
    assert only_looked(result)
    assert everything_below(tmp_path) == before


def test_status_tells_two_names_of_one_machine_and_no_clone(world):
    one_machine(world)
    result = run_deploy(world.hosts, status)
    assert N3 in result.failed
    assert f"found the machine that {N2} leads to as well" in result.log
    assert "clone" not in result.log


def test_two_machines_that_are_alike_are_still_a_clone(world):
    clone(world)
    assert "this host is a clone" in run_deploy(Living(world).hosts, etcd).refused


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "abc"}'])
def test_a_record_on_the_controller_that_cannot_be_read_is_not_the_same_as_none(fresh, text):
    path = fresh.pki / "etcd" / "cluster.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    result = run_deploy(fresh.hosts, etcd)
    assert (
        f"the controller: found {path}, which cannot be read (it is not ours), wanted the cluster's record"
        in result.refused
    )
    assert only_looked(result)
    assert path.read_text() == text


def test_the_refusals_of_all_hosts_are_told_at_once(world):
    half(world)
    world.show(N3, "half")
    refused = run_deploy(world.hosts, etcd).refused
    assert N2 in refused
    assert N3 in refused


def test_a_change_is_refused_while_a_member_is_out_of_reach_and_says_what_has_to_be_done(world):
    unreachable(world)
    result = run_deploy(world.hosts, etcd, data=SLOWER)
    assert f"{N3}: found no answer (" in result.refused
    assert "wanted every member within reach before anything is changed" in result.refused
    assert only_looked(result)


@pytest.mark.parametrize("away", [unreachable, cut_short, silent_probe])
def test_a_converged_cluster_with_a_member_out_of_reach_is_not_as_promised(world, away):
    away(world)
    result = run_deploy(world.hosts, etcd)
    assert result.failed == set(HOSTS)
    assert only_looked(result)
