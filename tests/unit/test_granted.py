"""A session that a host refuses is asked for again: what was refused has never begun."""

from types import SimpleNamespace

import pytest
from paramiko import ChannelException

from etcd_steward import waits


def line(answers):
    def run(*_args, **_arguments):
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return waits._Line(
        SimpleNamespace(
            name="n1",
            connected=False,
            connector=SimpleNamespace(connect=None),
            run_shell_command=run,
            put_file=None,
            get_file=None,
            get_fact=None,
        )
    )


def test_a_command_whose_session_is_refused_is_given_once_one_is_granted():
    answers = [ChannelException(2, "Connect failed"), ChannelException(2, "Connect failed"), (True, "done")]
    assert line(answers)._command("true") == (True, "done")


def test_a_host_that_grants_none_is_told_and_nothing_waits_for_ever(monkeypatch):
    monkeypatch.setattr(waits, "REFUSED_S", 0.3)
    with pytest.raises(ChannelException):
        line([ChannelException(2, "Connect failed")])._command("true")


def test_what_fails_otherwise_is_never_given_twice():
    answers = [(False, "failed"), (True, "done")]
    assert line(answers)._command("true") == (False, "failed")
    answers = [ValueError("a command that began"), (True, "done")]
    with pytest.raises(ValueError, match="began"):
        line(answers)._command("true")
