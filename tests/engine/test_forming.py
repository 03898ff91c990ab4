"""What is promised about a cluster that `deploys/etcd.py` makes, over pretended hosts."""

import re
from types import SimpleNamespace

import pytest

from etcd_steward import releases
from etcd_steward.record import read_controller_record
from etcd_steward.verbs import etcd
from tests.engine.common import HOSTS, N1, N2, SLOWER, all_commands, counts, only_looked, stops_when
from tests.engine.fakes import World, run_deploy
from tests.engine.living import AWAIT, PEERS, START, WRITE, Living


def test_empty_hosts_become_a_cluster_and_a_second_run_changes_nothing(fresh):
    living = Living(fresh)
    result = run_deploy(living.hosts, etcd)
    assert (result.refused, result.failed) == ("", set())
    assert sorted(living.happened("start")) == list(HOSTS)
    assert living.happened("stop") == []
    assert not read_controller_record(fresh.pki / "etcd").open
    again = run_deploy(living.hosts, etcd)
    assert (again.refused, again.failed) == ("", set())
    assert only_looked(again)


def test_an_archive_that_must_not_be_used_is_found_out_before_any_host_is_changed(fresh, monkeypatch):
    def refuse(*_args, **_more):
        raise releases.ReleaseError("another digest", "the one that is known", "do not use it")

    monkeypatch.setattr(releases, "obtain", refuse)
    living = Living(fresh)
    result = run_deploy(living.hosts, etcd)
    assert result.failed == set(HOSTS)
    assert "found another digest, wanted the one that is known" in result.log
    assert only_looked(result)
    assert not fresh.pki.exists()


def test_a_dry_run_makes_nothing_on_the_controller_and_shows_the_operations_of_the_run(fresh):
    living = Living(fresh)
    dry = run_deploy(living.hosts, etcd, mode="dry")
    assert (dry.refused, dry.failed) == ("", set())
    assert counts(dry) == dict.fromkeys(HOSTS, 1)
    assert only_looked(dry)
    assert not fresh.pki.exists()
    assert run_deploy(living.hosts, etcd).operations == dry.operations


def test_a_dry_run_of_turns_shows_the_operations_of_the_run(world):
    living = Living(world)
    dry = run_deploy(living.hosts, etcd, mode="dry", data=SLOWER)
    assert (only_looked(dry), living.events) == (True, [])
    assert run_deploy(living.hosts, etcd, data=SLOWER).operations == dry.operations
    assert [name for name in dry.operations if "Turn of" in name] == [
        "etcd | Turn of n2",
        "etcd | Turn of n3",
        "etcd | Turn of n1",
    ]


def test_keys_travel_over_standard_input_only_each_to_its_own_host_and_never_the_authorities(
    fresh, caplog, capsys
):
    result = run_deploy(Living(fresh).hosts, etcd, yes=False, debug=True)
    assert (result.refused, result.failed) == ("", set())
    keys = {host: re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.+?)-----END", "".join(told), re.DOTALL) for host, told in result.stdin.items()}  # fmt: skip
    own = [(fresh.pki / "etcd" / name).read_text() for name in ("ca-key.pem", "peer-ca-key.pem")]
    own = ["".join(text.splitlines()[1:-1]) for text in own]
    flat = {host: ["".join(key.split()) for key in found] for host, found in keys.items()}
    assert {host: len(found) for host, found in flat.items()} == dict.fromkeys(HOSTS, 4)
    assert len({key for found in flat.values() for key in found}) == 12
    shown = "".join([*all_commands(result), result.log, result.stdout, caplog.text, *capsys.readouterr()])
    assert "PRIVATE" not in shown
    for key in [key for found in flat.values() for key in found]:
        assert not any(piece in shown for piece in pieces(key))
    everything_sent = "".join("".join(told) for told in result.stdin.values()).replace("\n", "")
    for key in own:
        assert not any(piece in everything_sent + shown for piece in pieces(key))


def pieces(key, length=40):
    """Give the runs of a key's base64 that are its secret: all such keys begin alike, and end with the public half."""
    return [key[start : start + length] for start in range(46, 52)]


def test_a_cluster_is_made_with_a_token_of_its_own(tmp_path, fresh):
    run_deploy(Living(fresh).hosts, etcd)
    first = read_controller_record(fresh.pki / "etcd")
    other = World(tmp_path / "second", formed=False)
    run_deploy(Living(other).hosts, etcd)
    second = read_controller_record(other.pki / "etcd")
    assert first.token != second.token
    assert first.id != second.id


@pytest.mark.parametrize("option", ["--serial", "--no-wait"])
def test_a_cluster_is_not_made_host_by_host(fresh, monkeypatch, option):
    monkeypatch.setattr("etcd_steward.cli_mode.pyinfra", SimpleNamespace(is_cli=True))
    monkeypatch.setattr("sys.argv", ["pyinfra", option, "inventory.py", "deploys/etcd.py"])
    result = run_deploy(fresh.hosts, etcd)
    assert (
        f"etcd: found {option}, wanted all members started together, to make a cluster; next: run without"
        in result.refused
    )
    assert only_looked(result)


def test_a_cluster_is_not_made_of_some_of_its_hosts(fresh):
    result = run_deploy(fresh.hosts, etcd, limit=[N1, N2])
    assert "etcd: found --limit or --exclude, wanted all hosts, to make a cluster" in result.refused
    assert only_looked(result)
    assert not fresh.pki.exists()


def test_a_failure_on_one_host_before_the_start_starts_nobody(fresh):
    living = Living(fresh, stops_when(lambda host, command: host == N2 and "tar -xzf" in command))
    result = run_deploy(living.hosts, etcd)
    assert N2 in result.failed
    assert living.happened("start") == []


POINTS = {
    "account": lambda command: "addgroup" in command,
    "staging": lambda command: "chmod 700 /opt/etcd/.staging" in command,
    "unpacking": lambda command: "tar -xzf" in command,
    "starting": lambda command: START in command,
    "waiting": lambda command: AWAIT in command,
    "trying the peers": lambda command: PEERS in command,
    "closing": lambda command: WRITE in command and START not in command,
}


@pytest.mark.parametrize(
    ("point", "how"),
    [
        *((point, "before") for point in POINTS),
        ("unpacking", "after"),
        ("starting", "after"),
        ("closing", "after"),
    ],
)
def test_f43_a_bootstrap_that_was_interrupted_is_finished_by_the_next_run(fresh, hurried, point, how):
    broken = [True]
    living = Living(
        fresh, stops_when(lambda host, command: broken[0] and host == N2 and POINTS[point](command), how)
    )
    first = run_deploy(living.hosts, etcd)
    assert N2 in first.failed, first.log
    token = getattr(read_controller_record(fresh.pki / "etcd"), "token", None)
    broken[0] = False
    second = run_deploy(living.hosts, etcd)
    assert (second.refused, second.failed) == ("", set()), second.log[-2000:]
    record = read_controller_record(fresh.pki / "etcd")
    assert not record.open
    assert token in {None, record.token}
