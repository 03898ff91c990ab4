"""Which authorities a cluster trusts, who can sign for them, and the pairs made in this run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from etcd_steward import config_keys
from etcd_steward.authority import Authorities, PkiError, Store, given, ready_made
from etcd_steward.certificates import Authority, Pair, Role, bundle, chained, lists, read_certificate
from etcd_steward.errors import Complaint
from etcd_steward.observed import HostState
from etcd_steward.pki import issue
from etcd_steward.settings import Settings
from etcd_steward.topology import Cluster, Member
from etcd_steward.trial import barred, key_kind, leaf_problems
from etcd_steward.work import ROLES, leaf_spec, subject

__all__ = ["Credentials", "brought", "pki_folder", "self_made"]

_ROTATE = "run deploys/rotate_ca.py with etcd_ca_cert and etcd_peer_ca_cert set to it, which brings it to all members step by step"


def pki_folder(settings: Settings) -> Path:
    """Say where the controller keeps a cluster's authorities and its record."""
    return Path(settings.etcd_pki_dir).expanduser() / settings.etcd_cluster


@dataclass
class Credentials:
    """The authorities of one cluster as this controller has them, and what the hosts carry.

    Args:
        cluster: the cluster.
        here: this controller's authorities, or None.
        carried: PEM of the two authorities that the hosts carry, or None where no host carries both.
        problem: why nothing can be signed here.
        issuers: the only authorities that count as issuers; otherwise all that the hosts carry.
    """

    cluster: Cluster
    here: Authorities | None
    carried: tuple[str, str] | None
    problem: str = ""
    issuers: Authorities | None = None

    @classmethod
    def look(cls, cluster: Cluster, hosts: Mapping[str, HostState]) -> Credentials:
        """Read what is here and what the hosts carry, creating nothing.

        Args:
            cluster: the cluster.
            hosts: what the probes told.

        Returns:
            The credentials.
        """
        carried = _carried(cluster, hosts)
        try:
            here = _here(cluster.settings)
        except PkiError as error:
            return cls(cluster, None, carried, str(error))
        problem = ""
        if here is None and carried is not None:
            problem = f"no authority in {pki_folder(cluster.settings)}"
        elif here is not None and carried is not None and not _same(here, carried):
            place = cluster.settings.etcd_ca_cert or pki_folder(cluster.settings)
            problem = f"another authority in {place} (SHA-256 {here.client.fingerprint})"
        elif (
            here is not None
            and not (here.client.can_sign and here.peer.can_sign)
            and not self_made(cluster.settings)
        ):
            problem = "authorities without their keys"
        return cls(cluster, here, carried, problem)

    @property
    def texts(self) -> tuple[str, str] | None:
        """PEM of the authorities that the hosts should carry: what they carry already, else ours."""
        if self.carried is not None:
            return self.carried
        return None if self.here is None else (self.here.client.pem, self.here.peer.pem)

    @property
    def signing(self) -> bool:
        """Whether certificates are made here, rather than brought ready-made."""
        return not self_made(self.cluster.settings)

    def trusted(self) -> dict[Role, list[Authority]]:
        """List, for each role, the authorities that may have signed its certificate."""
        if self.issuers is not None:
            return {role: [self.issuers.for_role(role)] for role in ROLES}
        client, peer = map(self._known, self.texts) if self.texts else ([], [])
        return {"server": client, "peer": peer, "client": client, "health": client}

    def _known(self, pem: str) -> list[Authority]:
        """Read authorities that hosts carry, with what is above those that are here."""
        here = [] if self.here is None else [self.here.client, self.here.peer]
        known = {one.fingerprint: one for one in here}
        return [known.get(one.fingerprint, one) for one in bundle(pem)]

    def for_clients(self) -> str:
        """PEM of what clients trust: what members carry, and all up to the root, without which OpenSSL takes no chain.

        Members trust the issuing authority alone: with its root they would let in whoever the root signs for.
        """
        if self.texts is None:
            return ""
        found = self._known(self.texts[0])
        carried = {one.fingerprint for one in found}
        above = {Authority(one).fingerprint: one for each in found for one in each.above}
        return self.texts[0] + "".join(
            Authority(one).pem for fingerprint, one in above.items() if fingerprint not in carried
        )

    def refusal(self, host: str, reasons: Mapping[Role, tuple[str, ...]]) -> Complaint | None:
        """Say why a host's certificates cannot be made here.

        Args:
            host: the inventory's name of the host.
            reasons: the roles that need a certificate, and why.

        Returns:
            The complaint, or None where they can be made.
        """
        if not self.problem or not reasons:
            return None
        needed = "; ".join(f"{role}: {', '.join(why)}" for role, why in reasons.items())
        carried = f" (SHA-256 {bundle(self.carried[0])[0].fingerprint})" if self.carried else ""
        cure = "run from the controller that has them, or copy its folder here; nothing is reissued with another authority"
        return Complaint(
            host,
            f"certificates to be made ({needed}), but {self.problem}",
            f"the keys of the authority that the hosts carry{carried}",
            _ROTATE if self.unheeded else cure,
        )

    def nobodys(self, host: str, reasons: Mapping[Role, tuple[str, ...]]) -> Complaint | None:
        """Say that nobody has an authority, where none is made as there is data already.

        Args:
            host: the inventory's name of the host.
            reasons: the roles that need a certificate, and why.

        Returns:
            The complaint, or None where there is one.
        """
        if (
            not reasons
            or not self.signing
            or self.here is not None
            or self.carried is not None
            or self.problem
        ):
            return None
        return Complaint(
            host,
            f"data, and no authority on any host or in {pki_folder(self.cluster.settings)}, "
            f"so that nobody can sign ({', '.join(reasons)})",
            "the authorities with which this cluster was made; they are made only with a new cluster",
            "copy their folder here; where they are lost, make two of your own and set etcd_ca_cert, etcd_ca_key, "
            "etcd_peer_ca_cert and etcd_peer_ca_key, with which all members take up their data",
        )

    @property
    def unheeded(self) -> bool:
        """Whether the operator brings an authority that the hosts do not carry yet."""
        return (
            self.cluster.settings.etcd_ca_cert is not None
            and self.here is not None
            and self.carried is not None
            and not _same(self.here, self.carried)
        )

    def unheeded_complaint(self) -> Complaint | None:
        """Say that the hosts do not carry the authority that the operator brings.

        Returns:
            The complaint, or None where they do.
        """
        if not self.unheeded or self.carried is None:
            return None
        return Complaint(
            self.cluster.name,
            f"members that carry another authority (SHA-256 {bundle(self.carried[0])[0].fingerprint})",
            f"that of etcd_ca_cert, {self.cluster.settings.etcd_ca_cert}",
            _ROTATE,
        )

    def ready(self, member: Member) -> dict[Role, Pair]:
        """Read a member's ready-made pairs.

        Args:
            member: whose.

        Returns:
            The pairs that are there.

        Raises:
            PkiError: its folder is missing, or a pair is incomplete or does not match.
        """
        folder = self.cluster.settings.etcd_certificates_dir or ""
        return ready_made(Path(folder).expanduser(), member.host.rpartition("/")[2])

    def ready_complaints(self, member: Member) -> list[Complaint]:
        """Say what is wrong with a member's ready-made pairs.

        Args:
            member: whose.

        Returns:
            The complaints.
        """
        try:
            pairs = self.ready(member)
        except PkiError as error:
            told = Complaint.of(member.host, error, "ready-made pairs", "correct etcd_certificates_dir")
            # A path that cannot be read comes from that setting, and from nothing else.
            unread = isinstance(error.__cause__, OSError)
            return [
                replace(told, next="correct etcd_certificates_dir, or permissions there") if unread else told
            ]
        missing = [role for role in ROLES if role not in pairs]
        if not missing:
            return self._unfit(member, pairs)
        return [
            Complaint(
                member.host,
                f"no {' and '.join(missing)} pair in etcd_certificates_dir",
                "all four",
                "add them",
            )
        ]

    def _unfit(self, member: Member, pairs: Mapping[Role, Pair]) -> list[Complaint]:
        trusted, now = self.trusted(), datetime.now(UTC)
        complaints = []
        for role, brought_pair in pairs.items():
            facts = read_certificate(brought_pair.certificate_pem)
            place = f"{self.cluster.settings.etcd_certificates_dir}: {role}.pem"
            if facts is not None and facts.not_after <= now:
                ended = f"{place}, expired on {facts.not_after:%Y-%m-%d}"
                complaints.append(Complaint(member.host, ended, "a valid one", "put a new pair there"))
            elif facts is not None:
                complaints += self._refused_by_go(member, role, brought_pair, place, now)
            # Where no host carries an authority yet, those that are brought are the only ones.
            if trusted[role] and not chained(brought_pair.certificate_pem, trusted[role]):
                signer = ", ".join(f"SHA-256 {one.fingerprint}" for one in trusted[role])
                complaints.append(
                    Complaint(
                        member.host,
                        f"{place}, not signed by an authority that counts now",
                        f"one signed by that ({signer})",
                        f"put such a pair there; for pairs of a new authority: {_ROTATE}",
                    )
                )
        return complaints

    def suite_complaints(self, member: Member, state: HostState, made: Iterable[Role]) -> list[Complaint]:
        """Say which of a member's keys no chosen cipher suite fits: those that stay on its host, or come ready-made.

        Args:
            member: whose.
            state: what its host told.
            made: the roles whose pair is made anew, or put there anew.

        Returns:
            The complaints.
        """
        settings = member.settings
        if not settings.etcd_config.get("cipher-suites"):
            return []
        try:
            ready = {} if self.signing else self.ready(member)
        except PkiError:  # which `ready_complaints` tells
            ready = {}
        complaints = []
        for role in ("server", "peer"):
            path = settings.certificate_path(role, member.name)
            pem = ready[role].certificate_pem if role in ready else state.certificates.get(path, "")
            facts = read_certificate(pem)
            if facts is None or (self.signing and role in set(made)):
                continue
            kind = key_kind(facts.certificate)
            told = config_keys.unshared(settings.etcd_config, kind) if kind else None
            if told:
                found, _, cure = told.partition("; ")
                complaints.append(
                    Complaint(
                        member.host,
                        f"etcd_config: {found}, and the {role} certificate of {member.name} has such a key",
                        "a suite for it",
                        f"{cure} to it",
                    )
                )
        return complaints

    def _refused_by_go(
        self, member: Member, role: Role, brought_pair: Pair, place: str, now: datetime
    ) -> list[Complaint]:
        """Judge a ready-made pair as etcd will, which reads less than this library does."""
        leaf, *above = (one.certificate for one in bundle(brought_pair.certificate_pem))
        own = {"server": (member.address, _host(member.loopback_url)), "peer": (member.address,)}
        problems = leaf_problems(leaf, above, role, own.get(role, ()))
        if leaf.not_valid_before_utc > now:
            problems.append(f"not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
        return [
            Complaint(
                member.host,
                f"{place}, {problem}",
                f"one that etcd takes as the {role} certificate of {member.name}",
                "put such a pair there",
            )
            for problem in problems
        ]

    def barred_complaints(self, member: Member, roles: Iterable[Role]) -> list[Complaint]:
        """Say which names of a member the authorities may not sign for.

        Args:
            member: whose certificates.
            roles: those that are to be made.

        Returns:
            The complaints.
        """
        if self.here is None or not self.signing:
            return []
        told = {
            f"an authority ({self.here.for_role(role)!r}) with {problem}"
            for role in roles
            for problem in barred(self.here.for_role(role).certificate, leaf_spec(member, role).names)
        }
        return [
            Complaint(
                member.host,
                one,
                "one that may sign for every name of the member, which localhost and 127.0.0.1 belong to",
                "give another authority, or ready-made pairs by etcd_certificates_dir",
            )
            for one in sorted(told)
        ]

    def create(self, now: datetime) -> None:
        """Create the authorities of a cluster that is about to be made, unless they are here already.

        Args:
            now: the controller's time.
        """
        if self.here is None:
            settings = self.cluster.settings
            self.here = Store(pki_folder(settings)).create(
                subject(settings.etcd_subject), settings.etcd_ca_days, now
            )

    def pair(self, member: Member, role: Role) -> Pair:
        """Make a certificate and its key in memory, or take the ready-made ones.

        Args:
            member: whose certificate.
            role: what it is for.

        Returns:
            The pair.

        Raises:
            PkiError: there is nobody here to sign it.
        """
        if not self.signing:
            return self.ready(member)[role]
        if self.here is None:
            raise PkiError(f"{member.host}: {self.problem or 'no authority'}")
        return issue(self.here.for_role(role), leaf_spec(member, role), now=datetime.now(UTC))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def self_made(settings: Settings) -> bool:
    """Tell whether the operator brings ready-made certificates."""
    return settings.etcd_certificates_dir is not None


def brought(settings: Settings, *, keys: bool = True) -> Authorities | None:
    """Read the authorities that the operator brings.

    Args:
        settings: the cluster's settings.
        keys: whether to open their keys too.

    Returns:
        The authorities; None where the settings name none.

    Raises:
        PkiError: a file cannot be read or used.
    """
    if not (settings.etcd_ca_cert and settings.etcd_peer_ca_cert):
        return None
    ca, peer = (Path(path).expanduser() for path in (settings.etcd_ca_cert, settings.etcd_peer_ca_cert))
    ca_key, peer_key = (
        Path(path).expanduser() if path and keys else None
        for path in (settings.etcd_ca_key, settings.etcd_peer_ca_key)
    )
    return given(ca, ca_key, peer, peer_key, now=datetime.now(UTC))


def _here(settings: Settings) -> Authorities | None:
    return brought(settings) or Store(pki_folder(settings)).load()


def _carried(cluster: Cluster, hosts: Mapping[str, HostState]) -> tuple[str, str] | None:
    for member in cluster.members:
        found = hosts[member.host].certificates
        ca, peer = (
            found.get(member.settings.certificate_path(kind, member.name)) for kind in ("ca", "peer_ca")
        )
        if ca and peer and bundle(ca) and bundle(peer):
            return ca, peer
    return None


def _same(here: Authorities, carried: tuple[str, str]) -> bool:
    client, peer = carried
    return lists(client, here.client) and lists(peer, here.peer)
