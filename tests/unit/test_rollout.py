"""Turns are given out one at a time, and nobody judges the cluster while one is being taken."""

import gevent
import pytest

from etcd_steward.rollout import Failures, Rollout


def test_the_cluster_is_not_judged_while_somebody_has_the_turn():
    rollout, told = Rollout(Failures()), []

    def restart():
        with rollout.turn("n2"):
            told.append("down")
            gevent.sleep(0)
            gevent.sleep(0)
            told.append("up")

    def judge():
        with rollout.between() as turns:
            told.append(f"judged after {turns}")

    gevent.joinall([gevent.spawn(restart), gevent.spawn(judge)], raise_error=True)
    assert told == ["down", "up", "judged after 1"]


def test_nobody_is_restarted_while_the_cluster_is_judged():
    rollout, told = Rollout(Failures()), []

    def judge():
        with rollout.between():
            told.append("judging")
            gevent.sleep(0)
            told.append("judged")

    def restart():
        with rollout.turn("n2"):
            told.append("down")

    gevent.joinall([gevent.spawn(judge), gevent.spawn(restart)], raise_error=True)
    assert told == ["judging", "judged", "down"]


def test_a_turn_that_is_not_finished_ends_the_turns_and_lets_others_judge():
    rollout = Rollout(Failures())

    def cut_short():
        with rollout.turn("n1") as refusal:
            yield refusal
            pytest.fail("what follows a failed command is not done")

    commands = cut_short()
    assert next(commands) == ""
    commands.close()
    with rollout.turn("n2") as refusal:
        assert refusal == "left untouched, because n1 failed in this run"
    with rollout.between() as turns:
        assert turns == 0
