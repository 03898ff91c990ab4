"""What several modules of unit tests share."""

import pytest

from etcd_steward.authority import Store
from etcd_steward.pki import create_authority
from tests.unit.authorities import Brought
from tests.unit.pairs import NOW, SUBJECT


@pytest.fixture(scope="module")
def client_ca():
    return create_authority("etcd client CA of pi", subject=SUBJECT, days=3650, now=NOW)


@pytest.fixture(scope="module")
def peer_ca():
    return create_authority("etcd peer CA of pi", subject=SUBJECT, days=3650, now=NOW)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pki" / "pi"


@pytest.fixture
def store(folder):
    return Store(folder, environ={})


@pytest.fixture
def brought(tmp_path):
    return Brought(tmp_path)
