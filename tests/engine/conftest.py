"""Pretended clusters for the engine's tests."""

import itertools

import pytest

from etcd_steward import releases
from tests.engine.fakes import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Make hosts on which nothing is installed, and an archive to install."""
    archive = tmp_path / "archive.tar.gz"
    archive.write_bytes(b"archive")
    monkeypatch.setattr(releases, "obtain", lambda *_args, **_more: releases.Archive(archive, "0" * 64))
    return World(tmp_path / "controller", formed=False)


@pytest.fixture
def hurried(monkeypatch):
    """Let every look at the clock take ten seconds, so that waiting ends at once."""

    class Clock:
        monotonic = itertools.count(step=10).__next__

    monkeypatch.setattr("etcd_steward.talk.time", Clock)
