"""All settings of one member, put together from their rooms."""

from __future__ import annotations

from etcd_steward.settings.certificates import CertificateSettings
from etcd_steward.settings.clients import ClientSettings
from etcd_steward.settings.cluster import ClusterSettings
from etcd_steward.settings.flannel import NETWORK_KEYS, FlannelSettings
from etcd_steward.settings.host import HostSettings
from etcd_steward.settings.k3s import K3sSettings
from etcd_steward.settings.kubernetes import KubernetesSettings
from etcd_steward.settings.pods import POD_CERTIFICATE_FILES, PodSettings
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
        "etcd_node_name",
        *(FlannelSettings.model_fields.keys() - NETWORK_KEYS),
        *KubernetesSettings.model_fields,
    },
)


# The last base comes first in the order of the keys.
class Settings(
    FlannelSettings,
    KubernetesSettings,
    K3sSettings,
    ClientSettings,
    VerbSettings,
    PodSettings,
    HostSettings,
    CertificateSettings,
    ClusterSettings,
):
    """Everything that can be set for one member, with the values that hold where nothing is said."""

    @property
    def pod(self) -> bool:
        """Whether members run as static pods."""
        return self.etcd_runtime == "static_pod"

    @property
    def config_path(self) -> str:
        """Path of what etcd is started with: its configuration file, or the manifest as kubelet shall get it."""
        if self.pod:
            return f"/etc/etcd-steward/{self.etcd_service}-pod.yaml"
        return f"{self.etcd_config_dir}/{self.etcd_config_file}"

    @property
    def manifest_path(self) -> str:
        """Path of the manifest that kubelet runs."""
        return f"{self.etcd_manifest_dir}/{self.etcd_service}.yaml"

    @property
    def process_mark(self) -> str:
        """What the command line of the member's process names: its configuration file, or its data folder."""
        return self.etcd_data_dir if self.pod else self.config_path

    @property
    def run_as(self) -> tuple[str, str]:
        """User and group that etcd runs as; in a pod root, as kubeadm has it."""
        return ("root", "root") if self.pod else (self.etcd_user, self.etcd_group)

    def certificate_path(self, kind: str, name: str) -> str:
        """Say where a certificate or key lies on the host.

        Args:
            kind: a key of `CERTIFICATE_FILES`.
            name: the member's name, for file names that carry it.

        Returns:
            The absolute path.
        """
        usual = POD_CERTIFICATE_FILES if self.pod else CERTIFICATE_FILES
        files: dict[str, str] = usual | dict(self.etcd_cert_files.items())
        own = not self.pod or "etcd_cert_dir" in self.model_fields_set
        folder = self.etcd_cert_dir if own else "/etc/kubernetes/pki"
        return f"{folder}/{files[kind].replace('{name}', name)}"
