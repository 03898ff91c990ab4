"""What is left to do on one host: the difference between what was seen and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from etcd_steward.addresses import is_wildcard
from etcd_steward.certificates import Authority, LeafSpec, Role, Subject
from etcd_steward.decisions import ACTING, NEWBORN, Action
from etcd_steward.desired import Desired, WantedFile
from etcd_steward.observed import HostState
from etcd_steward.pki import differences
from etcd_steward.topology import Member
from etcd_steward.versions import Version, has_etcdutl

__all__ = ["ROLES", "Work", "key_owner", "leaf_spec", "subject", "tools", "work"]

ROLES: tuple[Role, ...] = ("server", "peer", "client", "health")

_SUBJECT_FIELDS = {
    "C": "country",
    "ST": "province",
    "L": "locality",
    "O": "organization",
    "OU": "organizational_unit",
}


@dataclass(frozen=True)
class Work:
    """What one host lacks.

    Args:
        account: the system account has to be made.
        stage: the release has to be put beside the others.
        folders: folders to make, or to give their owner: path, mode, `user:group`.
        certificates: for each role whose certificate is made anew, the reasons.
        files: files that differ.
        link: the links to the binaries have to be moved.
        enable: the service has to be enabled.
        start: the service is not running, and shall.
        restart: the running process was started with something else than is wanted.
        turn: something bears on the running process, so the member's turn is needed.
    """

    account: bool = False
    stage: bool = False
    folders: tuple[tuple[str, str, str], ...] = ()
    certificates: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[WantedFile, ...] = ()
    link: bool = False
    enable: bool = False
    start: bool = False
    restart: bool = False
    turn: bool = False

    @property
    def anything(self) -> bool:
        """Whether the host is changed at all."""
        return bool(
            self.account
            or self.stage
            or self.folders
            or self.certificates
            or self.files
            or self.link
            or self.enable
            or self.start
            or self.restart
            or self.turn,
        )

    def reasons(self) -> list[str]:
        """Say in words what the member's turn is for."""
        told = [f"{role} certificate ({', '.join(why)})" for role, why in self.certificates.items()]
        told += [file.path for file in self.files if file.turn]
        if self.link:
            told.append("the links to the release")
        if self.start:
            told.append("it does not run")
        if self.restart and not told:
            told.append("it runs with an older configuration")
        return told


def tools(version: Version) -> tuple[str, ...]:
    """List the programs of a release; 3.4 has no etcdutl."""
    return ("etcd", "etcdctl", "etcdutl") if has_etcdutl(version) else ("etcd", "etcdctl")


def leaf_spec(member: Member, role: Role) -> LeafSpec:
    """Describe the certificate that a member needs for a role.

    Args:
        member: whose certificate.
        role: what it is for; only those that serve carry names.

    Returns:
        The description.
    """
    # With etcd's authentication on, a client's common name is its user: our own questions come from `etcd-steward`.
    common_names = {
        "server": member.name,
        "peer": "etcd-peer",
        "client": f"etcd-client-{member.name}",
        "health": "etcd-steward",
    }
    if member.settings.pod:  # kubeadm's
        node = member.settings.etcd_node_name or member.name
        common_names = {
            "server": node,
            "peer": node,
            "client": "kube-apiserver-etcd-client",
            "health": "kube-etcd-healthcheck-client",
        }
    names = member.certificate_names if role in {"server", "peer"} else ()
    if role == "peer":
        # etcd takes a member's connection from every host whose name fits one of these, and members have no use for a star.
        names = tuple(name for name in names if not is_wildcard(name))
    return LeafSpec(
        role=role,
        common_name=common_names[role],
        names=names,
        subject=subject(member.settings.etcd_subject),
        days=member.settings.etcd_certificate_days,
    )


def subject(fields: Mapping[Any, str]) -> Subject:
    """Read the setting `etcd_subject`.

    Args:
        fields: X.509's short names and their values.

    Returns:
        The subject without a common name.
    """
    return Subject(**{_SUBJECT_FIELDS[key]: value for key, value in fields.items()})


def key_owner(member: Member, role: Role) -> tuple[str, str]:
    """Say who may read a role's key: etcd its own two, root alone the others.

    Args:
        member: whose key.
        role: what it is for.

    Returns:
        The owner as `user:group`, and the octal mode.
    """
    own = role in {"server", "peer"} and not member.settings.pod
    return (f"root:{member.settings.etcd_group}", "640") if own else ("root:root", "600")


def work(
    member: Member,
    state: HostState,
    action: Action,
    wanted: Desired,
    trusted: Mapping[Role, Sequence[Authority]],
    *,
    ready: Mapping[str, tuple[str, str]] | None = None,
    now: datetime,
) -> Work:
    """Compare one host with what it should have.

    Args:
        member: the host's member.
        state: what the probe told.
        action: what the plan decided.
        wanted: what should lie on the host.
        trusted: for each role, the authorities that may have signed its certificate.
        ready: certificate and key of each role, where the operator brings them; otherwise they are made by us.
        now: the controller's time.

    Returns:
        What is left to do.
    """
    if action not in ACTING:
        return Work()
    settings = member.settings
    files = tuple(file for file in wanted.files if not file.lies_on(state))
    certificates = (
        _certificates(member, state, trusted, now) if ready is None else _ready_made(member, state, ready)
    )
    link = any(
        state.links.get(tool) != f"{settings.etcd_prefix}/{wanted.version}/{tool}"
        for tool in tools(wanted.version)
    )
    running = state.service.running
    restart = running and dict(state.started) != dict(wanted.started)
    config = settings.config_path
    if running and not restart and state.settled == wanted.settled:
        # Only the lines for a first start differ: they may be written at once, as no process reads them.
        files = tuple(
            _at_once(file) if file.path == config and _only_content(state, file) else file for file in files
        )
    live = any(file.turn for file in files) or bool(certificates) or link or restart
    return Work(
        account=state.account is None or state.group is None,
        stage=str(wanted.version) not in state.releases,
        folders=_folders(member, state, action),
        certificates=certificates,
        files=files,
        link=link,
        enable=not state.service.enabled,
        start=not running,
        restart=restart,
        turn=action == "converge" and (live or not running or not state.endpoint.healthy),
    )


def _only_content(state: HostState, wanted: WantedFile) -> bool:
    found = state.files.get(wanted.path)
    return found is not None and (found.mode, found.owner) == (wanted.mode, wanted.owner)


def _at_once(file: WantedFile) -> WantedFile:
    return WantedFile(file.path, file.content, file.mode, file.owner, turn=False)


def _certificates(
    member: Member,
    state: HostState,
    trusted: Mapping[Role, Sequence[Authority]],
    now: datetime,
) -> dict[Role, tuple[str, ...]]:
    found: dict[Role, tuple[str, ...]] = {}
    for role in ROLES:
        path = member.settings.certificate_path(role, member.name)
        key = state.files.get(member.settings.certificate_path(f"{role}_key", member.name))
        pem = state.certificates.get(path)
        if pem is None or key is None:
            found[role] = ("there is none" if pem is None else "its key is missing",)
            continue
        reasons = differences(
            pem,
            leaf_spec(member, role),
            trusted=trusted[role],
            now=now,
            renew_days=member.settings.etcd_renew_days,
            key_sha256=key.sha256,
        )
        owner, mode = key_owner(member, role)
        if (key.owner, key.mode) != (owner, mode):
            reasons.append(f"its key is {key.owner} {key.mode}, wanted {owner} {mode}")
        if reasons:
            found[role] = tuple(reasons)
    return found


def _ready_made(
    member: Member,
    state: HostState,
    ready: Mapping[str, tuple[str, str]],
) -> dict[Role, tuple[str, ...]]:
    found: dict[Role, tuple[str, ...]] = {}
    for role in ROLES:
        if role not in ready:
            found[role] = ("there is none",)
            continue
        owner, mode = key_owner(member, role)
        kinds = ((role, ready[role][0], "644", "root:root"), (f"{role}_key", ready[role][1], mode, owner))
        files = [
            WantedFile(member.settings.certificate_path(kind, member.name), text, m, o, turn=True)
            for kind, text, m, o in kinds
        ]
        if not all(file.lies_on(state) for file in files):
            found[role] = ("it is not the ready-made one",)
    return found


def _folders(member: Member, state: HostState, action: Action) -> tuple[tuple[str, str, str], ...]:
    settings = member.settings
    owner = ":".join(settings.run_as)
    wanted = {"folder": settings.etcd_data_dir}
    if settings.etcd_wal_dir:
        wanted["wal-folder"] = settings.etcd_wal_dir
    # A data folder that is missing is made for a new member only: elsewhere it is a disk that is not mounted.
    return tuple(
        (path, "700", owner)
        for kind, path in wanted.items()
        if state.folders.get(kind) != f"700 {owner}" and (kind in state.folders or action in NEWBORN)
    )
