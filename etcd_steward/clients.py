"""Clients of a cluster: which files they get, who signs for them, and what they have to reach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etcd_steward import versions
from etcd_steward.addresses import is_loopback
from etcd_steward.certificates import LeafSpec, Pair, lists
from etcd_steward.clusters import cluster_of_client
from etcd_steward.credentials import Credentials, self_made
from etcd_steward.errors import Complaint
from etcd_steward.expiry import spent
from etcd_steward.pki import differences, issue
from etcd_steward.rotation import following
from etcd_steward.shell import Content
from etcd_steward.work import subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyinfra.api import Host

    from etcd_steward.authority import Authorities
    from etcd_steward.observed import File
    from etcd_steward.run import ClusterRun, Sight
    from etcd_steward.settings import Settings

__all__ = ["Bundle", "ClientRun", "client_run", "wanted_bundle"]

_FILES = {"ca": "ca.pem", "certificate": "client.pem", "key": "client-key.pem"}


@dataclass(frozen=True)
class Bundle:
    """The three files of one client.

    Args:
        common_name: common name of its certificate; etcd's user where authentication is on.
        ca: path of the authority's certificate.
        certificate: path of its certificate.
        key: path of its key.
        owner: owner of the key.
        group: group of the key.
        key_mode: mode of the key, octal; the others are 644 and root's.
    """

    common_name: str
    ca: str
    certificate: str
    key: str
    owner: str = "root"
    group: str = "root"
    key_mode: str = "600"

    @property
    def paths(self) -> list[str]:
        """All three."""
        return [self.ca, self.certificate, self.key]


def wanted_bundle(host: str, settings: Settings) -> Bundle:
    """Read the settings `etcd_client_…` of a host.

    Args:
        host: its inventory name.
        settings: its settings.

    Returns:
        The bundle that it shall have.
    """
    files = _FILES | dict(settings.etcd_client_files)
    ca, certificate, key = (f"{settings.etcd_client_dir}/{files[kind]}" for kind in _FILES)
    return Bundle(
        settings.etcd_client_name or host.rpartition("/")[2],
        ca,
        certificate,
        key,
        settings.etcd_client_owner,
        settings.etcd_client_group,
        settings.etcd_client_key_mode,
    )


@dataclass(frozen=True)
class ClientRun:
    """A cluster as one of its client hosts sees it.

    Args:
        run: the run of the cluster.
        settings: the client host's own settings.
    """

    run: ClusterRun
    settings: Settings

    def __repr__(self) -> str:
        return f"ClientRun({self.run.name!r})"

    @property
    def sight(self) -> Sight:
        """What one look at the members showed."""
        found: Sight = self.run.once("clients' sight", lambda: self.run.look(only=True))
        return found

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Client URL of every member, sorted by name."""
        return tuple(one.client_url for one in sorted(self.sight.cluster.members, key=lambda one: one.name))

    @property
    def version(self) -> versions.Version | None:
        """The lowest release that runs; None where no member answers."""
        told = [(state.endpoint.status or {}).get("version") for state in self.sight.hosts.values()]
        return min((versions.parse(one) for one in told if one), default=None)

    @property
    def tool_version(self) -> versions.Version:
        """The release whose etcdctl a client gets: the one that runs, else the one that is wanted."""
        return self.version or versions.parse(self.sight.cluster.settings.etcd_version)

    @property
    def credentials(self) -> Credentials:
        """Who signs for clients: while a rotation is under way the next authority, which members trust already."""
        # Reading them opens keys, which takes time where these are encrypted.
        found: Credentials = self.run.once("clients' credentials", self._credentials)
        return found

    def _credentials(self) -> Credentials:
        found = self.sight.credentials
        coming = following(found.cluster, keys=False)
        if coming is None or not (found.carried and lists(found.carried[0], coming.client)):
            return found
        here = following(found.cluster)
        problem = "" if here and here.client.can_sign else "the next authorities are here without their keys"
        return replace(found, here=here, issuers=coming, problem=problem)

    def trusted(self) -> str:
        """PEM of what clients shall trust; both authorities while a rotation is under way."""
        return self.credentials.for_clients()

    def reasons(self, wanted: Bundle, pem: str, found: Mapping[str, File]) -> list[str]:
        """Tell why a client needs a new certificate.

        Args:
            wanted: its bundle.
            pem: the certificate that lies on the client host.
            found: digests, modes and owners of the three files.

        Returns:
            Short phrases; empty where it keeps what it has.
        """
        settings = self.sight.cluster.settings
        key = found.get(wanted.key)
        told = differences(
            pem,
            self._spec(wanted),
            trusted=self.credentials.trusted()["client"],
            now=self.run.now(),
            renew_days=settings.etcd_renew_days,
            key_sha256=key.sha256 if key else None,
        )
        expected = (wanted.key_mode, f"{wanted.owner}:{wanted.group}")
        if key and (key.mode, key.owner) != expected:
            # What others could read is no secret any more.
            told.append(f"key: found {key.mode} {key.owner}, wanted {' '.join(expected)}")
        return told

    def refusal(self, host: str, reasons: list[str]) -> Complaint | None:
        """Say why a client cannot be given what it needs.

        Args:
            host: the inventory's name of the client host.
            reasons: why it needs a new certificate.

        Returns:
            The complaint, or None where it can.
        """
        for member in self.sight.cluster.members:
            if is_loopback(member.address) and member.host != host:
                return Complaint(
                    host,
                    f"the member {member.name} at {member.address}, which leads each host to itself",
                    "an address at which this host reaches it",
                    f"set etcd_address of {member.host}, and run deploys/etcd.py",
                )
        credentials = self.credentials
        if credentials.carried is None:
            return Complaint(
                host,
                f"no member of {self.run.name} that carries its authorities",
                "the cluster before its clients",
                "run deploys/etcd.py; if it is running, see deploys/status.py",
            )
        if reasons and self_made(self.sight.cluster.settings):
            return Complaint(
                host,
                f"a client certificate to be made ({', '.join(reasons)}), but ready-made certificates",
                "an authority that signs here",
                "bring the client's files yourself, as those of the members",
            )
        refusal = credentials.refusal(host, {"client": tuple(reasons)} if reasons else {})
        return refusal or (spent(credentials, self.run.now()) if reasons else None)

    def made(self, wanted: Bundle) -> list[Content]:
        """Make a client's key and certificate; neither is kept here.

        Args:
            wanted: its bundle.

        Returns:
            The contents, the key directly before its certificate, so that the two are switched together.

        Raises:
            PkiError: there is nobody here to sign it.
        """
        here: Authorities | None = self.credentials.here
        assert here is not None  # noqa: S101 - `refusal` was asked before
        pair: Pair = issue(here.client, self._spec(wanted), now=datetime.now(UTC))
        together = wanted.key.rpartition("/")[0] == wanted.certificate.rpartition("/")[0]
        return [
            Content(wanted.key, pair.key_pem, wanted.key_mode, f"{wanted.owner}:{wanted.group}", together),
            Content(wanted.certificate, pair.certificate_pem),
        ]

    def _spec(self, wanted: Bundle) -> LeafSpec:
        settings = self.sight.cluster.settings
        return LeafSpec(
            "client",
            wanted.common_name,
            subject=subject(settings.etcd_subject),
            days=settings.etcd_certificate_days,
        )


def client_run(host: Host) -> ClientRun | None:
    """Find the cluster that a host is a client of.

    Args:
        host: the host that pyinfra is working on.

    Returns:
        The cluster as this host sees it; None where the host is nobody's client.

    Raises:
        DeployError: some settings are wrong, or there is no such cluster; nothing was asked of any host.
    """
    found = cluster_of_client(host)
    return None if found is None else ClientRun(found[1], found[0])
