"""All settings of one member, put together from their rooms."""

from __future__ import annotations

from etcd_steward.settings.certificates import CertificateSettings
from etcd_steward.settings.clients import ClientSettings
from etcd_steward.settings.cluster import ClusterSettings
from etcd_steward.settings.host import HostSettings
from etcd_steward.settings.k3s import K3sSettings
from etcd_steward.settings.verbs import VerbSettings

__all__ = ["CERTIFICATE_FILES", "HOST_KEYS", "Settings"]

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
        *ClientSettings.model_fields,
        *K3sSettings.model_fields,
    },
)


# The last base comes first in the order of the keys.
class Settings(K3sSettings, ClientSettings, VerbSettings, HostSettings, CertificateSettings, ClusterSettings):
    """Everything that can be set for one member, with the values that hold where nothing is said."""

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
