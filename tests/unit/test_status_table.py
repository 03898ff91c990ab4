"""What is promised about the table and the JSON of status."""

import io
import json
import pathlib
import re
from datetime import UTC, datetime

import pytest

from etcd_steward.plan import decide
from etcd_steward.report import examine
from etcd_steward.status_table import as_json, rows, show
from etcd_steward.versions import DEFAULT
from tests.engine.fakes import World

NOW = datetime.now(UTC).replace(microsecond=0)
# docs/status.md tells these keys; machines rely on them.
KEYS = "cluster id time healthy leader voters voters_wanted members problems advisories notes"
MEMBER_KEYS = (
    "host member state why id version role db_size db_in_use raft_index raft_applied raft_term "
    "certificate_days ca_days service enabled alarms clock_skew snapshot_age aside"
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, now=NOW)


def judged(world, unreached=()):
    sight = world.sight(unreached)
    return sight, examine(sight, decide(sight.cluster, sight.hosts, sight.seen, sight.records), NOW)


def printed(world, unreached=(), output="table", stream=None):
    stream = stream or io.StringIO()
    show(*judged(world, unreached), NOW, output=output, stream=stream)
    return stream.getvalue()


def row(world, name, unreached=()):
    return next(one for one in rows(world.sight(unreached), NOW) if one.member == name)


def test_a_healthy_member_tells_everything(world):
    found = row(world, "n2")
    assert (found.state, found.version, found.role) == ("healthy", str(DEFAULT), "follower")
    assert found.id == world.record.members["n2"]
    assert (found.db_size, found.db_in_use) == (20480, 16384)
    assert (found.raft_index, found.raft_applied, found.raft_term) == (42, 42, 2)
    assert (found.certificate_days, found.ca_days) == (730, 3650)
    assert (found.service, found.enabled, found.alarms, found.clock_skew) == ("started", True, (), 0.0)


def test_the_leader_is_marked(world):
    assert [one.role for one in rows(world.sight(), NOW)] == ["leader", "follower", "follower"]


def test_an_unreached_member_has_a_row_that_says_why(world):
    found = row(world, "n3", ("@fake/n3",))
    assert (found.state, found.why) == ("no answer", "no route to host")
    assert "n3      no answer: no route to host" in printed(world, ("@fake/n3",))


@pytest.mark.parametrize(
    ("condition", "state"),
    [("empty", "no etcd"), ("stopped", "stopped"), ("half", "stopped"), ("unhealthy", "unhealthy")],
)
def test_each_condition_has_a_word_of_its_own(world, condition, state):
    world.show("@fake/n1", condition)
    assert row(world, "n1").state == state


def test_a_stopped_member_is_known_by_its_data(world):
    world.show("@fake/n1", "stopped")
    assert row(world, "n1").id == world.record.members["n1"]


def test_a_login_without_rights_is_told_as_such(world):
    host = world.hosts["@fake/n1"]
    host.lines = ["uid 1000" if line == "uid 0" else line for line in host.lines]
    host.lines = [line for line in host.lines if not line.startswith("etcd ")]
    assert row(world, "n1").state == "no rights"


def test_columns_that_say_nothing_are_left_out(world):
    assert "alarms" not in printed(world)
    world.show("@fake/n1", "converged", alarms=("NOSPACE",), aside=("/var/lib/etcd/member.1-1",))
    text = printed(world)
    assert "alarms" in text
    assert "NOSPACE" in text
    assert "aside" in text


def test_a_member_under_an_alarm_is_not_called_healthy(world):
    world.show("@fake/n1", "converged", alarms=("NOSPACE",))
    assert (row(world, "n1").state, row(world, "n1").why) == ("unhealthy", "the alarm NOSPACE")
    assert "2 of 3 members healthy" in printed(world)


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_no_line_of_the_table_is_wider_than_the_terminal(world, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed(world, ("@fake/n3",), stream=Terminal()))
    table = text.split("@fake/n3: found")[0]
    assert max(len(line.rstrip()) for line in table.splitlines()) <= columns
    for word in (str(DEFAULT), "follower", "730 d", "3650 d"):
        assert word in table


def test_a_file_gets_no_colours_and_no_folded_lines(world):
    text = printed(world, ("@fake/n3",))
    assert "\x1b" not in text
    assert len([line for line in text.splitlines() if line.startswith(("n1 ", "n2 ", "n3 "))]) == 3


def test_what_a_host_says_cannot_steer_the_terminal(world):
    world.show("@fake/n1", "unhealthy")
    host = world.hosts["@fake/n1"]
    host.lines = [
        line.replace("connection refused", "\x1b]0;x\x07[red]bad") if line.startswith("etcd health") else line
        for line in host.lines
    ]
    text = printed(world)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[red]bad" in text


def test_the_last_line_says_whether_the_cluster_is_healthy(world):
    assert printed(world).splitlines()[-1] == "etcd: healthy, 3 of 3 members healthy, quorum 2"
    last = printed(world, ("@fake/n3",)).splitlines()[-1]
    assert last == "etcd: not healthy, 2 of 3 members healthy, quorum 2"


def test_quorum_is_of_the_voters_that_the_cluster_has_not_of_the_inventory(world):
    stranger = {
        "ID": 4711,
        "name": "n4",
        "peerURLs": ["https://10.9.9.4:2380"],
        "clientURLs": ["https://10.9.9.4:2379"],
    }
    for host in world.hosts:
        world.show(host, "converged", strangers=(stranger,))
    assert printed(world).splitlines()[-1] == "etcd: healthy, 3 of 3 members healthy, quorum 3 of 4 voters"


def test_json_is_one_line_with_the_documented_keys(world):
    text = printed(world, ("@fake/n3",), output="json")
    assert text.count("\n") == 1
    value = json.loads(text)
    assert list(value) == KEYS.split()
    assert [list(member) for member in value["members"]] == [MEMBER_KEYS.split()] * 3
    assert value["healthy"] is False
    assert value["problems"] == [
        {
            "host": "@fake/n3",
            "found": "no answer (no route to host)",
            "wanted": "the host within reach",
            "next": "bring it back",
        }
    ]


def test_json_tells_the_whole_cluster(world):
    value = json.loads(as_json(*judged(world), NOW))
    assert value["healthy"] is True
    assert (value["cluster"], value["id"], value["leader"]) == ("etcd", world.record.id, "n1")
    assert (value["voters"], value["voters_wanted"]) == (3, 3)
    assert value["problems"] == []
    assert [note for note in value["notes"] if not note.startswith(f"etcd {DEFAULT}: ")] == []


def test_json_has_what_is_known_against_the_releases_that_run_and_a_cluster_is_healthy_all_the_same(world):
    world.show("@fake/n1", "converged", version="3.5.27")
    value = json.loads(as_json(*judged(world), NOW))
    assert value["healthy"] is True
    assert list(value["advisories"]) == ["3.5.27", str(DEFAULT)]
    found = {one["id"]: one for one in value["advisories"]["3.5.27"]}
    assert found["CVE-2026-33413"] == {
        "id": "CVE-2026-33413",
        "aliases": ["GHSA-q8m4-xhhv-38mg"],
        "kind": "security",
        "severity": "high",
        "what": found["CVE-2026-33413"]["what"],
        "fixed_in": "3.5.28",
        "source": "https://github.com/etcd-io/etcd/security/advisories/GHSA-q8m4-xhhv-38mg",
    }
    assert found["etcd#18667"]["fixed_in"] is None
    assert [note for note in value["notes"] if note.startswith("etcd 3.5.27: ")]


def test_the_documentation_tells_every_key():
    text = (pathlib.Path(__file__).parents[2] / "docs" / "status.md").read_text()
    for key in (*KEYS.split(), *MEMBER_KEYS.split()):
        assert f"`{key}`" in text, key
