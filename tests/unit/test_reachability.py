"""Members are tried where clients reach them, each by one other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.parsing import read_across
from etcd_steward.shell import script
from tests.unit.test_spoken import ANY, SHELLS, shell

IDS = st.integers(1, 2**64 - 1)


def followed(words, own, members):
    header = {"cluster_id": 7, "member_id": own, "raft_term": 2}
    answer = json.dumps({"header": header, "members": members}, separators=(",", ":"))
    command = script("ctl.sh", "across.sh", given=answer) + '\nfollowing "$given"'
    return shell(words, command).stdout.decode().splitlines()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(IDS, ANY), min_size=1, max_size=9, unique_by=lambda one: one[0]),
    st.sampled_from(SHELLS),
)
def test_in_a_ring_each_member_is_tried_by_one_other_whatever_their_names_hold(members, words):
    listed = [
        {
            "ID": number,
            "name": name + '","clientURLs":["https://x:1"],"ID":5',
            "peerURLs": [f"https://10.0.0.{at}:2380"],
            "clientURLs": [f"https://10.0.0.{at}:2379"],
        }
        for at, (number, name) in enumerate(members)
    ]
    tried = [url for number, _ in members for url in followed(words, number, listed)]
    expected = sorted(f"https://10.0.0.{at}:2379" for at in range(len(members)))
    assert sorted(tried) == (expected if len(members) > 1 else [])


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
def test_nobody_is_tried_who_never_started_or_serves_without_tls(words):
    def listed(**more):
        return [
            {"ID": 3, "name": "n1", "clientURLs": ["https://[fd00::1]:2379"]},
            {"ID": 4, "name": ""} | more,
        ]

    assert followed(words, 3, listed()) == []
    assert followed(words, 3, listed(clientURLs=["http://10.0.0.2:2379"])) == []
    assert followed(words, 4, listed()) == ["https://[fd00::1]:2379"]
    assert followed(words, 5, listed()) == []


@given(
    st.sampled_from(["etcdserver: user name not found", "auth: user not found", "etcdserver: no leader"]), ANY
)
def test_whoever_refuses_us_was_reached(refusal, before):
    line = " ".join(f"{before} {refusal}".split())
    assert read_across(f"across https://n2:2379 no {line}") == ("https://n2:2379", "")


@given(st.text(max_size=200))
def test_any_answer_is_read(rest):
    url, why = read_across(f"across {rest}")
    assert isinstance(url, str)
    assert isinstance(why, str)
