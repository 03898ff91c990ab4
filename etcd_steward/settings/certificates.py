"""What certificates say, who signs them, and where they lie."""

from __future__ import annotations

from typing import Literal

from etcd_steward.settings.key import Keys, key
from etcd_steward.values import CertifiedName, Days, FileName, HostPath, Line

__all__ = ["CertificateSettings"]


class CertificateSettings(Keys):
    """What certificates say, who signs them, and where they lie."""

    etcd_extra_names: list[CertifiedName] = key(
        [],
        "Further names and addresses in the server certificate; *.example.org stands for every name one label below.",
        ["etcd.example.org"],
    )
    etcd_subject: dict[Literal["C", "ST", "L", "O", "OU"], Line] = key(
        {},
        "Subject fields of the certificates.",
        {"C": "CN", "ST": "cloud-atlas", "L": "Shanghai"},
    )
    etcd_ca_days: Days = key(3650, "Validity of a new authority, in days.", 3650)
    etcd_certificate_days: Days = key(730, "Validity of a new certificate, in days.", 365)
    etcd_renew_days: Days = key(60, "Days before its end in which a certificate is made anew.", 30)
    etcd_pki_dir: Line = key(
        "pki", "Folder on the controller that holds the authorities' keys.", "/srv/secrets/pki"
    )
    etcd_ca_cert: Line | None = key(
        None,
        "File on the controller: your own authority for servers and clients; below a company's root, all above it up to the root behind it.",
        "ca.pem",
    )
    etcd_ca_key: Line | None = key(None, "File on the controller: the key of etcd_ca_cert.", "ca-key.pem")
    etcd_peer_ca_cert: Line | None = key(
        None,
        "File on the controller: your own authority for members; with all above it, likewise.",
        "peer-ca.pem",
    )
    etcd_peer_ca_key: Line | None = key(
        None, "File on the controller: the key of etcd_peer_ca_cert.", "peer-ca-key.pem"
    )
    etcd_certificates_dir: Line | None = key(
        None,
        "Folder on the controller with ready-made files, one folder a host.",
        "certificates",
    )
    etcd_cert_dir: HostPath = key(
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
    ] = key({}, "File names that differ from the usual ones; {name} is the member's.", {"peer": "{name}.pem"})
