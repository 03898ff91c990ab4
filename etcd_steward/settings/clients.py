"""What a host gets that is a client of a cluster."""

from __future__ import annotations

from typing import Literal

from etcd_steward.settings.key import Keys, key
from etcd_steward.values import Account, FileName, HostPath, Line, Word

__all__ = ["ClientSettings"]


class ClientSettings(Keys):
    """What a host gets that is a client of a cluster; each may differ from host to host."""

    etcd_client_of: Word | None = key(None, "Name of the cluster that this host is a client of.", "pi")
    etcd_client_name: Line | None = key(
        None,
        "Common name of the client's certificate, its user where etcd asks for one; otherwise the host's name.",
        "patroni",
    )
    etcd_client_dir: HostPath = key(
        "/etc/etcd-client", "Folder on the client host for its three files.", "/etc/patroni/etcd"
    )
    etcd_client_files: dict[Literal["ca", "certificate", "key"], FileName] = key(
        {},
        "File names that differ from the usual ones, ca.pem, client.pem and client-key.pem.",
        {"ca": "ca.crt"},
    )
    etcd_client_owner: Account = key("root", "Owner of the client's key.", "postgres")
    etcd_client_group: Account = key("root", "Group of the client's key.", "postgres")
    etcd_client_key_mode: Literal["400", "440", "600", "640"] = key(
        "600", "Mode of the client's key; its certificate and the authority are for all to read.", "640"
    )
