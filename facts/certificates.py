"""The certificates on a host, without any key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict

from etcd_steward.certificates import read_certificate
from etcd_steward.facts.slices import Slice
from etcd_steward.observed import HostState

__all__ = ["CertificateDict", "Certificates", "describe"]


class CertificateDict(TypedDict):
    """What `Certificates` tells of each."""

    common_name: str
    names: list[str]
    issuer: str
    sha256: str
    not_before: str
    not_after: str
    days: int


class Certificates(Slice[dict[str, CertificateDict | None]]):
    """
    Returns the certificates on a host by path; never a key.

    `days` are whole days by the controller's clock until it ends, negative where it has ended. What cannot be read as a
    certificate is null; of a file with several the first is told.

    .. code:: json

        {"/etc/etcd/pki/server.pem": {"common_name": "n1", "names": ["localhost", "n1", "127.0.0.1", "192.168.7.11"],
         "issuer": "CN=etcd client CA of pi", "sha256": "5f0c…", "not_before": "2026-07-01T08:00:00+00:00",
         "not_after": "2028-07-01T08:00:00+00:00", "days": 587}}
    """

    def describe(self, state: HostState) -> dict[str, CertificateDict | None]:
        """Take it out of what the probe told."""
        return describe(state, datetime.now(UTC))


def describe(state: HostState, now: datetime) -> dict[str, CertificateDict | None]:
    """Describe the certificates of a probed host.

    Args:
        state: what the probe told.
        now: the controller's time.

    Returns:
        A description by path, None for what is no certificate.
    """
    return {path: _certificate(pem, now) for path, pem in state.certificates.items()}


def _certificate(pem: str, now: datetime) -> CertificateDict | None:
    found = read_certificate(pem)
    if found is None:
        return None
    return {
        "common_name": found.common_name,
        "names": list(found.names),
        "issuer": found.issuer,
        "sha256": found.fingerprint,
        "not_before": found.not_before.isoformat(),
        "not_after": found.not_after.isoformat(),
        "days": (found.not_after - now).days,
    }
