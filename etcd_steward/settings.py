"""What an operator can set: every key, its type, its default and an example."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etcd_steward import versions
from etcd_steward.errors import Complaint, shown
from etcd_steward.values import (
    Account,
    Address,
    ClusterId,
    DataPath,
    Days,
    Digests,
    FileName,
    HostPath,
    Ip,
    Line,
    MemberKey,
    Mirror,
    Port,
    Release,
    TimeZone,
    Word,
)

__all__ = ["CERTIFICATE_FILES", "HOST_KEYS", "Settings", "read_settings"]

CERTIFICATE_FILES = {
    "ca": "ca.pem",
    "peer_ca": "peer-ca.pem",
    "server": "server.pem",
    "server_key": "server-key.pem",
    "peer": "peer.pem",
    "peer_key": "peer-key.pem",
    "client": "client.pem",
    "client_key": "client-key.pem",
    "health": "health.pem",
    "health_key": "health-key.pem",
}

# Keys that may differ between the members of one cluster; all others must agree.
HOST_KEYS = frozenset(
    {
        "etcd_name",
        "etcd_address",
        "etcd_interface",
        "etcd_listen_address",
        "etcd_extra_names",
        "etcd_data_dir",
        "etcd_wal_dir",
        "etcd_snapshot_dir",
        "etcd_uid",
        "etcd_gid",
    },
)


def _key(default: Any, help_text: str, *examples: Any, **rules: Any) -> Any:
    return Field(
        default=default, description=help_text, examples=list(examples), validate_default=False, **rules
    )


class Settings(BaseModel):
    """Everything that can be set for one member, with the values that hold where nothing is said."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)

    etcd_cluster: Word = _key(
        "etcd", "Name of the cluster; names its certificate folder and its record.", "pi"
    )
    etcd_inventory_group: Word = _key("etcd", "Inventory group whose hosts are the members.", "etcd_pi")
    etcd_version: Release = _key(
        str(versions.DEFAULT),
        "Release to install; a running cluster only changes it by upgrade.",
        "3.5.30",
    )
    etcd_force_version: bool = _key(
        False, "Install a release that is known to be harmful all the same.", True
    )

    etcd_name: Word | None = _key(None, "Member name; otherwise the inventory's name of the host.", "etcd01")
    etcd_address: Address | None = _key(
        None,
        "IP address or DNS name by which clients and peers reach the member.",
        "192.168.7.11",
        "fd00::11",
    )
    etcd_interface: Word | None = _key(
        None, "Network interface whose address is the member's, or is listened on.", "eth0"
    )
    etcd_listen_address: Ip | None = _key(
        None,
        "IP address to bind; otherwise etcd_address, or every address where that is a name.",
        "192.168.7.11",
    )
    etcd_client_port: Port = _key(2379, "Port for clients.", 2379)
    etcd_peer_port: Port = _key(2380, "Port for the other members.", 2380)

    etcd_extra_names: list[Address] = _key(
        [], "Further names and addresses in the server certificate.", ["etcd.example.org"]
    )
    etcd_subject: dict[Literal["C", "ST", "L", "O", "OU"], Line] = _key(
        {},
        "Subject fields of the certificates.",
        {"C": "CN", "ST": "cloud-atlas", "L": "Shanghai"},
    )
    etcd_ca_days: Days = _key(3650, "Validity of a new authority, in days.", 3650)
    etcd_certificate_days: Days = _key(730, "Validity of a new certificate, in days.", 365)
    etcd_renew_days: Days = _key(60, "Days before its end in which a certificate is made anew.", 30)
    etcd_pki_dir: Line = _key(
        "pki", "Folder on the controller that holds the authorities' keys.", "/srv/secrets/pki"
    )
    etcd_ca_cert: Line | None = _key(
        None, "File on the controller: your own authority for servers and clients.", "ca.pem"
    )
    etcd_ca_key: Line | None = _key(None, "File on the controller: the key of etcd_ca_cert.", "ca-key.pem")
    etcd_peer_ca_cert: Line | None = _key(
        None, "File on the controller: your own authority for members.", "peer-ca.pem"
    )
    etcd_peer_ca_key: Line | None = _key(
        None, "File on the controller: the key of etcd_peer_ca_cert.", "peer-ca-key.pem"
    )
    etcd_certificates_dir: Line | None = _key(
        None,
        "Folder on the controller with ready-made files, one folder a host.",
        "certificates",
    )
    etcd_cert_dir: HostPath = _key(
        "/etc/etcd/pki", "Folder on the hosts for certificates and keys.", "/opt/etcd-3.4/ssl"
    )
    etcd_cert_files: dict[
        Literal[
            "ca",
            "peer_ca",
            "server",
            "server_key",
            "peer",
            "peer_key",
            "client",
            "client_key",
            "health",
            "health_key",
        ],
        FileName,
    ] = _key(
        {}, "File names that differ from the usual ones; {name} is the member's.", {"peer": "{name}.pem"}
    )

    etcd_user: Account = _key("etcd", "System account that runs etcd.", "etcd")
    etcd_group: Account = _key("etcd", "System group of that account.", "etcd")
    etcd_uid: Annotated[int, Field(ge=1, le=65533)] | None = _key(
        None, "Number of that account, where it is made.", 1001
    )
    etcd_gid: Annotated[int, Field(ge=1, le=65533)] | None = _key(
        None, "Number of that group, where it is made.", 1001
    )

    etcd_data_dir: DataPath = _key("/var/lib/etcd", "Data folder; may be a mount point.", "/srv/etcd")
    etcd_wal_dir: DataPath | None = _key(
        None, "Folder for the write-ahead log, which is `wal` in it; may be a mount point.", "/ssd/etcd-wal"
    )
    etcd_config_dir: HostPath = _key("/etc/etcd", "Folder for the configuration.", "/opt/etcd-3.4/conf")
    etcd_config_file: FileName = _key("conf.yml", "Name of the configuration file.", "etcd.yaml")
    etcd_prefix: HostPath = _key(
        "/opt/etcd", "Folder in which every release has one of its own.", "/opt/etcd-3.4/releases"
    )
    etcd_bin_dir: HostPath = _key(
        "/usr/local/bin", "Folder for the links to etcd, etcdctl and etcdutl.", "/opt/etcd-3.4/bin"
    )
    etcd_service: Word = _key("etcd", "Name of the service.", "etcd")
    etcd_config: dict[str, Any] = _key(
        {},
        "Every other key of etcd's configuration file, by its own name.",
        {"heartbeat-interval": 250, "election-timeout": 2500},
    )
    etcd_profile: bool = _key(True, "Set etcdctl's environment for login shells in /etc/profile.d.", False)

    etcd_mirror: Mirror | None = _key(
        None, "Where releases come from, in GitHub's layout.", "https://mirror.example.org/etcd"
    )
    etcd_archive_dir: Line | None = _key(
        None, "Folder on the controller with release archives, instead of a mirror.", "archives"
    )
    etcd_sha256: Digests | None = _key(
        None, "SHA-256 of the archive, or one for each architecture.", {"amd64": "…"}
    )
    etcd_digests: Literal["pinned", "mirror"] = _key(
        "pinned",
        "Believe the digests of this package first, or the mirror's own.",
        "mirror",
    )
    etcd_cache_dir: Line = _key(
        "~/.cache/etcd-steward", "Folder on the controller for verified archives.", "/var/cache/etcd"
    )

    etcd_allow_even: bool = _key(False, "Accept an even number of members.", True)
    etcd_allow_outage: bool = _key(
        False, "Accept a pause where a restart must lose quorum (1 or 2 voters).", True
    )
    etcd_forget_cluster: ClusterId | None = _key(
        None,
        "Id of a lost cluster that may be forgotten, so that a new one is made.",
        "cdf818194e3a8c32",
    )
    etcd_replace: Word | None = _key(
        None, "Member whose disk is lost for ever: it is removed, and joins anew.", "etcd02"
    )
    etcd_move_aside: list[Word] = _key(
        [], "Members whose data is of another cluster or another life, and may be moved aside.", ["etcd02"]
    )
    etcd_break_lock: bool = _key(False, "Take the lock from a run that is surely dead.", True)
    etcd_timeout: Annotated[int, Field(ge=5, le=3600)] = _key(
        90, "Seconds that a member has to become healthy.", 180
    )
    etcd_min_free_mb: Annotated[int, Field(ge=0)] = _key(
        512, "Free megabytes that a new data folder needs.", 4096
    )

    etcd_time_sync: bool = _key(False, "Install, configure and enable chrony.", True)
    etcd_time_servers: list[Address] = _key(
        [], "Time servers for chrony; otherwise the distribution's.", ["ntp1.aliyun.com"]
    )
    etcd_timezone: TimeZone | None = _key(
        None,
        "Time zone of the hosts.",
        "Asia/Shanghai",
    )
    etcd_time_step: bool = _key(True, "Let the first correction of a wrong clock be a step.", False)
    etcd_max_skew: Annotated[float, Field(gt=0, le=60)] = _key(
        2.0, "Seconds by which a host's clock may differ.", 1.0
    )

    etcd_snapshots: bool = _key(True, "Take snapshots on every member by a schedule.", False)
    etcd_snapshot_dir: DataPath = _key(
        "/var/lib/etcd-snapshots", "Folder on the hosts for snapshots.", "/srv/etcd-snapshots"
    )
    etcd_snapshot_hours: Annotated[int, Field(ge=1, le=720)] = _key(
        6, "Hours between the scheduled snapshots of a member.", 24
    )
    etcd_snapshot_keep: Annotated[int, Field(ge=3, le=10000)] = _key(
        12, "Snapshots that are kept in a folder at most.", 28
    )
    etcd_snapshot_days: Days = _key(
        30, "Days after which snapshots go, all but the newest three by revision.", 7
    )
    etcd_snapshot_command: Line | None = _key(
        None,
        "Shell command on the host after each snapshot; $ETCD_SNAPSHOT and $ETCD_SNAPSHOT_MANIFEST are its files.",
        'rclone copy "$ETCD_SNAPSHOT" remote:etcd',
    )
    etcd_backup_dir: Line = _key(
        "backups", "Folder on the controller that deploys/backup.py copies snapshots to.", "/srv/backups/etcd"
    )
    etcd_snapshot: Line = _key(
        "newest",
        "drill, restore: the snapshot, by its file name, or by a path on the controller.",
        "backups/pi/pi-n1-20260721T031900Z-r4711.db",
    )

    etcd_renew_all: bool = _key(
        False, "renew: make every certificate anew, not only those near their end.", True
    )
    etcd_clients_ready: bool = _key(
        False, "rotate_ca: all clients trust both authorities, so that certificates may be reissued.", True
    )
    etcd_ca_lost: bool = _key(False, "rotate_ca: the key of the present authority is lost for ever.", True)
    etcd_rollback: bool = _key(
        False,
        "upgrade: bring the members that run a newer release back, while others still run the old one.",
        True,
    )

    etcd_member: MemberKey | None = _key(
        None, "remove: the member that leaves, by its name, its id or its peer URL.", "etcd02"
    )
    etcd_reset: ClusterId | None = _key(
        None, "reset: id of the cluster that is ended, as status shows it.", "cdf818194e3a8c32"
    )
    etcd_compact: bool = _key(False, "maintain: forget old revisions, all but the newest.", True)
    etcd_compact_keep: Annotated[int, Field(ge=0)] = _key(
        1000, "maintain: revisions that compaction keeps.", 100
    )
    etcd_maintain_quota_fraction: Annotated[float, Field(ge=0, le=1)] = _key(
        0.5, "maintain: part of its quota that a database must fill to be defragmented.", 0.8
    )
    etcd_maintain_fragmentation: Annotated[float, Field(ge=0, lt=1)] = _key(
        0.5, "maintain: part of a database that must be unused for it to be defragmented.", 0.3
    )

    etcd_output: Literal["table", "json"] = _key("table", "How status prints.", "json")

    @property
    def config_path(self) -> str:
        """Path of etcd's configuration file on the host."""
        return f"{self.etcd_config_dir}/{self.etcd_config_file}"

    def certificate_path(self, kind: str, name: str) -> str:
        """Say where a certificate or key lies on the host.

        Args:
            kind: a key of `CERTIFICATE_FILES`.
            name: the member's name, for file names that carry it.

        Returns:
            The absolute path.
        """
        files: dict[str, str] = CERTIFICATE_FILES | dict(self.etcd_cert_files.items())
        return f"{self.etcd_cert_dir}/{files[kind].replace('{name}', name)}"


def read_settings(host: str, data: Mapping[str, Any]) -> tuple[Settings | None, list[Complaint]]:
    """Read one host's settings, collecting everything that is wrong with them.

    Args:
        host: the host's inventory name.
        data: the host's data; keys that do not begin with `etcd_` belong to somebody else and are passed over.

    Returns:
        The settings, or None where they could not be read, and the complaints.
    """
    mine = {key: value for key, value in data.items() if key.startswith("etcd_")}
    try:
        settings = Settings.model_validate(mine)
    except ValidationError as error:
        return None, [_complaint(host, problem) for problem in error.errors(include_url=False)]
    from etcd_steward.combinations import judge  # noqa: PLC0415 - which reads settings itself

    return settings, judge(host, settings)


def _plain(part: str) -> str:
    # A key that somebody wrote must not break the line of the message.
    return part if part.isprintable() else repr(part)


def _complaint(host: str, problem: Any) -> Complaint:
    where = [str(part) for part in problem["loc"] if not str(part).startswith(("function-", "constrained-"))]
    key = where[0]
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Settings.model_fields, n=1)
        hint = f"write {near[0]}" if near else "see docs/settings.md for the keys that there are"
        return Complaint(
            host,
            f"an unknown setting {key if key.isprintable() else shown(key)}",
            "a setting that exists",
            hint,
        )
    field = Settings.model_fields[key]
    reason = str(problem.get("ctx", {}).get("error", problem["msg"]))
    reason = reason.rpartition("wanted ")[2].removeprefix("Input should be ").partition(", unable")[0]
    example = f"such as {field.examples[0]!r}" if field.examples else ""
    return Complaint(
        host,
        f"{'.'.join(map(_plain, where))} = {shown(problem['input'])}",
        reason[:1].lower() + reason[1:],
        f"set {key} to a value {example}".rstrip(),
    )
