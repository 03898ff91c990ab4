"""What the table must never decide, whatever is seen."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etcd_steward.identity import Identity
from etcd_steward.observed import (
    Data,
)
from etcd_steward.plan import decide
from tests.unit.plans import (
    CLOSED,
    CLUSTER,
    CLUSTER_ID,
    FOREIGN,
    IDS,
    OPEN,
    OTHER,
    OTHER_PROCESS,
    OUR_PROCESS,
    REMOVED,
    SENTENCE,
    all_empty,
    decided,
    host,
    listed,
    seen,
    unstarted,
)

BEGUN = host("n1", "begun").data
TRACES = [
    {"reached": False, "problem": "no answer"},
    {"data": Data("unknown")},
    {"data": Data("half")},
    {"data": BEGUN},
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
    hosts_with("empty", "begun")
    | hosts_with("empty", "begun", "own")
    | hosts_with("empty", "begun", "half", "unknown", "own", *IDS, REMOVED, (IDS["n2"], FOREIGN)),
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
            assert own in {Data("empty"), BEGUN} or own.identity == Identity(IDS[name], CLUSTER_ID)
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
            assert state.data == BEGUN, "a host that cannot be judged was not refused"
            assert decision.action in {"bootstrap", "finish"}
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
