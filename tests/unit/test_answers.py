"""Whatever a host answers: it is read with its right types, or it is none, for that host alone; and no terminal is steered."""

import copy
import io
import json
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.answers import clean, decoded, read_members, read_status
from etcd_steward.leaving import choose_leaving
from etcd_steward.observed import see_cluster
from etcd_steward.parsing import parse_probe
from etcd_steward.report import examine, judge
from etcd_steward.status_table import show
from etcd_steward.talk import Status
from tests.engine.fakes import World
from tests.unit.test_restoring import LINE

NOW = datetime.now(UTC)
HOSTS = N1, N2, N3 = ("@fake/n1", "@fake/n2", "@fake/n3")
RED = "\x1b[31m\x9b2J\u202egpj\u2028\x07"
ODD = [
    *(None, "", "x", RED, "\ud800", [], {}, [None], [[]], True, False, 0, -1, 1.5),
    *(2**63, 2**64, 10**30, "https://[", "https://a:b", "0.0.0", "3.6.x", ["https://["], {"a": RED}),
]
LESS_ODD = [None, RED, [], {"a": RED}, -1, 10**30]
HEADER = {"cluster_id": 7, "member_id": 1}
STATUS = {"header": HEADER, "version": "3.5.33", "leader": 1}
MEMBER = {"ID": 1, "name": "n1", "peerURLs": ["https://a:2380"], "clientURLs": ["https://a:2379"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"))
    for host in HOSTS:
        world.hosts[host].lines.insert(-1, f"snapshot {LINE}")
    return world


def places(value, path=()):
    """Name every place in a decoded value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from places(one, (*path, key))


def put(value, path, odd):
    value = copy.deepcopy(value)
    if not path:
        return odd
    at = value
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = odd
    return value


def as_json(line):
    """Split a line of the probe into what stands before its JSON, and the JSON; None where it has none."""
    for mark in ("etcd status ", "etcd members ", "record ", "snapshot "):
        if line.startswith(mark):
            return mark, json.loads(line.removeprefix(mark))
    return None


def told_of(world, now=NOW):
    """Look, decide, judge, choose and show, as status and the other verbs do; give all that is printed."""
    sight = world.sight()
    plan = sight.decide()
    verdict = examine(sight, plan, now)
    told = io.StringIO()
    show(sight, verdict, now, output="table", stream=told)
    show(sight, verdict, now, output="json", stream=told)
    print(plan, judge(sight, set(HOSTS)), file=told)
    for complaint in choose_leaving(sight, "n3", set(), HOSTS).complaints:
        print(complaint, file=told)
    return sight, told.getvalue()


def printable(text):
    return all(sign == "\n" or unicodedata.category(sign) not in {"Cc", "Cs", "Zl", "Zp"} for sign in text)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_answer_of_one_host_keeps_the_others_from_being_told_or_steers_a_terminal(world, data):
    lines = list(world.hosts[N2].lines)
    try:
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(lines) - 1))
            found = as_json(lines[at]) if data.draw(st.booleans()) else None
            if found is not None:
                mark, value = found
                path = data.draw(st.sampled_from(list(places(value))))
                world.hosts[N2].lines[at] = mark + json.dumps(
                    put(value, path, data.draw(st.sampled_from(ODD)))
                )
            else:
                odd = data.draw(
                    st.sampled_from(["", " ", RED, "9" * 5000, "1e400", "[" * 9000, "-1", "null"])
                )
                world.hosts[N2].lines[at] = f"{lines[at].partition(' ')[0]} {odd}"
        sight, told = told_of(world)
    finally:
        world.hosts[N2].lines = lines
    assert printable(told)
    assert sight.hosts[N1].endpoint.healthy
    assert sight.hosts[N3].endpoint.healthy
    assert all(name in told for name in ("n1", "n2", "n3"))


@pytest.mark.parametrize("mark", ["etcd status ", "etcd members ", "record ", "snapshot "])
def test_each_field_of_each_answer_may_hold_anything(world, mark):
    lines = list(world.hosts[N2].lines)
    at = next(number for number, line in enumerate(lines) if line.startswith(mark))
    _, value = as_json(lines[at])
    seen = set()
    try:
        for path in places(value):
            for odd in ODD if mark.startswith("etcd") else LESS_ODD:
                world.hosts[N2].lines[at] = mark + json.dumps(put(value, path, odd))
                state = parse_probe(N2, world.hosts[N2].lines)
                # Most do not fit, and are told alike.
                kind = repr((state.endpoint.status, state.endpoint.members, state.record, state.snapshots))
                if kind not in seen:
                    seen.add(kind)
                    _, told = told_of(world)
                    assert printable(told), (path, odd)
    finally:
        world.hosts[N2].lines = lines


def test_a_list_that_is_null_is_an_answer_that_cannot_be_read_of_that_host_alone(world):
    lines = list(world.hosts[N1].lines)
    at = next(number for number, line in enumerate(lines) if line.startswith("etcd members "))
    _, value = as_json(lines[at])
    try:
        world.hosts[N1].lines[at] = "etcd members " + json.dumps(put(value, ("members", 0, "peerURLs"), None))
        sight = world.sight()
    finally:
        world.hosts[N1].lines = lines
    assert sight.hosts[N1].endpoint.members is None
    assert "peerURLs" in sight.hosts[N1].endpoint.denied
    assert see_cluster(dict(sight.hosts))[0].source == N2


def test_answers_are_read_with_their_fields_and_nothing_else():
    assert read_status(json.dumps([{"Endpoint": "a", "Status": {**STATUS, "new": [1]}}])) == STATUS
    assert read_members(json.dumps({"header": HEADER, "members": [MEMBER]}))["members"] == [MEMBER]


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "[null]", '[{"Status":null}]', "NaN", '{"members":[]}', "[" * 100_000, "9" * 5000],
)
def test_what_is_no_answer_is_an_error_of_one_kind(text):
    for read in (read_status, read_members):
        with pytest.raises(ValueError):  # noqa: PT011 - the kind is the promise
            read(text)
    assert Status.read(text) is None


@given(st.text())
def test_a_cleaned_text_can_be_printed_and_one_that_can_is_left_alone(text):
    found = clean(text)
    assert clean(found) == found
    assert printable(found.replace("\t", ""))
    assert found.encode() or not found
    assert json.loads(json.dumps(found)) == decoded(json.dumps(text))


def test_words_of_people_are_left_alone():
    assert clean("küche 1\t/dev/sda = ok") == "küche 1\t/dev/sda = ok"
