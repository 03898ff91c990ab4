"""A host that is up and lets nobody work is never called gone: what it says is told, and what helps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcd_steward.observed import HostState
from etcd_steward.parsing import parse_probe
from etcd_steward.refused import BRING_BACK, reason
from tests.unit.test_observed import ANSWERS

SAID = {
    "requiretty": ["sudo: sorry, you must have a tty to run sudo"],
    "password": [
        "",
        "sudo: a terminal is required to read the password; either use the -S option",
        "sudo: a password is required",
    ],
    "doas": ["doas: Operation not permitted"],
    "sudo-rs": ["sudo-rs: interactive authentication is required"],
    "su": ["su: Authentication failure"],
    "no terminal to ask at": ["EOFError"],
    "a shell that lets nothing run": ["This account is currently not available."],
}


@pytest.mark.parametrize("case", SAID)
def test_who_is_refused_is_told_in_the_words_of_the_host_and_sent_to_no_dead_host(case):
    why, mend = reason(SAID[case])
    assert why
    assert mend != BRING_BACK
    assert case == "no terminal to ask at" or any(line in why for line in SAID[case] if line)


def test_who_says_nothing_is_given_no_words():
    assert reason([]) == ("", "")
    assert reason(["", " "]) == ("", "")


@given(
    st.sampled_from(sorted(ANSWERS)),
    st.lists(st.text(max_size=40).filter(lambda line: line != "probe 1"), max_size=6),
)
def test_a_greeting_before_the_answer_is_passed_over(name, greeting):
    lines = ANSWERS[name]
    assert parse_probe("n1", [*greeting, *lines]) == parse_probe("n1", lines)


@given(st.lists(st.text(max_size=40).filter(lambda line: line != "probe 1"), min_size=1, max_size=6))
def test_words_without_an_answer_are_no_answer_and_their_host_is_not_gone(lines):
    state = parse_probe("n1", lines)
    assert not state.reached
    assert state.mend != BRING_BACK
    assert HostState("n1").mend == BRING_BACK
