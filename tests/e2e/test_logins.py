"""A host that is up and answers in its own way is worked on, or told in its own words, and never as gone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.targets.images import title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.steward import Site
    from tests.targets.hosts import Host

pytestmark = pytest.mark.target

FAMILIES = ("alpine", "debian", "centos")
BY_FAMILIES = pytest.mark.parametrize("families", [FAMILIES], ids=["+".join(map(title, FAMILIES))])
BRING_BACK = "bring it back"


@contextmanager
def changed(host: Host, path: str, text: str, *, first: bool = False) -> Iterator[None]:
    """Put a text into a file of a host, behind what it holds or in front of it, for as long as the block lasts."""
    before = host.read(path) if host.exists(path) else None
    mode = int(host.run(f"stat -c %a {path}").stdout, 8) if before is not None else 0o440
    host.write(path, text + (before or "") if first else (before or "") + text, mode)
    try:
        yield
    finally:
        if before is None:
            host.run(f"rm {path}")
        else:
            host.write(path, before, mode)


@BY_FAMILIES
def test_b09_a_login_that_greets_is_worked_on_as_any_other(
    shared: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = shared(families, "ssh")
    _, host, _ = site.hosts
    home = host.run("getent passwd deploy | cut -d: -f6").stdout.strip()
    with changed(host, f"{home}/.bashrc", "echo hello\necho\necho 'probe 1'\n", first=True):
        assert "hello" in host.ssh("true").stdout
        site.run("-y", "deploys/status.py").succeeded()
        site.etcd("-y").unchanged()


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ("Defaults:deploy requiretty\n", "tty"),
        ("Defaults:deploy targetpw\ndeploy ALL=(ALL) PASSWD: ALL\n", "password"),
    ],
    ids=["b10 a terminal", "b11 a password"],
)
@BY_FAMILIES
def test_b10_b11_a_login_that_may_not_become_root_is_told_in_sudos_own_words(
    shared: Callable[..., Site], families: tuple[str, ...], rule: str, word: str
) -> None:
    site = shared(families, "ssh")
    _, host, _ = site.hosts
    running = site.pid(host)
    with changed(host, "/etc/sudoers.d/zz-strict", rule):
        for verb in ("status", "etcd", "renew"):
            outcome = site.run("-y", f"deploys/{verb}.py").failed(host.name, word)
            assert BRING_BACK not in outcome.text
    assert site.pid(host) == running
    site.etcd("-y").unchanged()


@BY_FAMILIES
def test_d18_a_login_with_one_session_at_a_time_is_asked_once_more_and_worked_on(
    shared: Callable[..., Site], families: tuple[str, ...]
) -> None:
    site = shared(families, "ssh")
    _, host, _ = site.hosts
    reload = "pkill -HUP -o -x sshd"
    try:
        with changed(host, "/etc/ssh/sshd_config", "MaxSessions 1\n", first=True):
            host.run(reload)
            site.run("-y", "deploys/status.py").succeeded()
            site.etcd("-y").unchanged()
            site.run("-y", "--data=etcd_renew_all=true", "deploys/renew.py").succeeded()
    finally:
        host.run(reload)
    site.etcd("-y").unchanged()


def test_j_data_without_an_authority_anywhere_is_refused_before_any_host_is_changed(
    fresh: Callable[..., Site],
) -> None:
    site = fresh(FAMILIES)
    site.etcd("-y").succeeded()
    site.put(site.hosts[0], "before", "the loss")
    for host in site.hosts:
        host.run("mv /etc/etcd/pki /root/lost-pki")
    site.pki.rename(site.folder / "lost-pki")
    outcome = site.etcd("-y").refused("no authority on any host")
    assert "internal exception" not in outcome.text
    assert not any(host.exists("/etc/etcd/pki") for host in site.hosts)
    for host in site.hosts:
        host.run("mv /root/lost-pki /etc/etcd/pki")
    (site.folder / "lost-pki").rename(site.pki)
    site.etcd("-y").succeeded()
    assert site.get(site.hosts[-1], "before") == "the loss"
