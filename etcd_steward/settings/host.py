"""What of a host the cluster uses: account, folders, service and clock."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from etcd_steward.settings.key import Keys, key
from etcd_steward.values import Account, Address, DataPath, FileName, HostPath, TimeZone, Word

__all__ = ["HostSettings"]


class HostSettings(Keys):
    """What of a host the cluster uses: account, folders, service and clock."""

    etcd_user: Account = key("etcd", "System account that runs etcd.", "etcd")
    etcd_group: Account = key("etcd", "System group of that account.", "etcd")
    etcd_uid: Annotated[int, Field(ge=1, le=65533)] | None = key(
        None, "Number of that account, where it is made.", 1001
    )
    etcd_gid: Annotated[int, Field(ge=1, le=65533)] | None = key(
        None, "Number of that group, where it is made.", 1001
    )
    etcd_data_dir: DataPath = key("/var/lib/etcd", "Data folder; may be a mount point.", "/srv/etcd")
    etcd_wal_dir: DataPath | None = key(
        None, "Folder for the write-ahead log, which is `wal` in it; may be a mount point.", "/ssd/etcd-wal"
    )
    etcd_config_dir: HostPath = key("/etc/etcd", "Folder for the configuration.", "/opt/etcd-3.4/conf")
    etcd_config_file: FileName = key("conf.yml", "Name of the configuration file.", "etcd.yaml")
    etcd_prefix: HostPath = key(
        "/opt/etcd", "Folder in which every release has one of its own.", "/opt/etcd-3.4/releases"
    )
    etcd_bin_dir: HostPath = key(
        "/usr/local/bin", "Folder for the links to etcd, etcdctl and etcdutl.", "/opt/etcd-3.4/bin"
    )
    etcd_service: Word = key("etcd", "Name of the service.", "etcd")
    etcd_config: dict[str, Any] = key(
        {},
        "Every other key of etcd's configuration file, by its own name.",
        {"heartbeat-interval": 250, "election-timeout": 2500},
    )
    etcd_profile: bool = key(True, "Set etcdctl's environment for login shells in /etc/profile.d.", False)
    etcd_time_sync: bool = key(False, "Install, configure and enable chrony.", True)
    etcd_time_servers: list[Address] = key(
        [], "Time servers for chrony; otherwise the distribution's.", ["ntp1.aliyun.com"]
    )
    etcd_timezone: TimeZone | None = key(
        None,
        "Time zone of the hosts.",
        "Asia/Shanghai",
    )
    etcd_time_step: bool = key(True, "Let the first correction of a wrong clock be a step.", False)
    etcd_max_skew: Annotated[float, Field(gt=0, le=60)] = key(
        2.0, "Seconds by which a host's clock may differ.", 1.0
    )
