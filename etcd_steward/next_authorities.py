"""The next authorities on the controller: made, kept beside the present ones, and put in their place in the end."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from etcd_steward.authority import Authorities, Store
from etcd_steward.certificates import lists
from etcd_steward.credentials import Credentials, brought, pki_folder
from etcd_steward.pki import BACKDATE
from etcd_steward.rotation import following, next_folder, trust_both_file
from etcd_steward.topology import Cluster
from etcd_steward.work import subject

__all__ = ["adopt_next", "just_rotated", "make_next", "next_made"]

# A rerun of a rotation that has ended shall not begin another one.
_YOUNG = timedelta(days=1)
_FILES = ("ca.pem", "peer-ca.pem", "ca-key.pem", "peer-ca-key.pem")


def next_made(cluster: Cluster) -> bool:
    """Tell whether the next authorities are there, with a bundle for clients that holds them.

    Args:
        cluster: the cluster.

    Returns:
        Whether nothing is left to make; a bundle of a rotation to another authority does not count.

    Raises:
        PkiError: they cannot be read or used.
    """
    coming = following(cluster, keys=False)
    return coming is not None and _bundled(cluster, coming)


def _bundled(cluster: Cluster, coming: Authorities) -> bool:
    try:
        pem = trust_both_file(cluster).read_text()
    except FileNotFoundError:
        return False
    return lists(pem, coming.client)


def make_next(cluster: Cluster, carried: str, now: datetime) -> None:
    """Make the next authorities, unless they wait there already or are brought, and the clients' bundle.

    Args:
        cluster: the cluster.
        carried: PEM of the client authorities that the hosts carry.
        now: the controller's time.

    Raises:
        PkiError: the authorities cannot be made or read.
    """
    settings, store = cluster.settings, Store(next_folder(cluster))
    # A controller that never had the present ones has no folder for them yet; the keys lie there in the end.
    Store(store.folder.parent).make_folder()
    coming = following(cluster, keys=False)
    if coming is None and any((store.folder / name).exists() for name in _FILES):
        # Their keys are lost. Hosts may trust them already, so they are kept, and the bundle goes on naming them.
        _put_away(store.folder)
    store.make_folder()
    coming = coming or store.create(
        subject(settings.etcd_subject), settings.etcd_ca_days, now, f"{cluster.name}, {now:%Y-%m-%d}"
    )
    if _bundled(cluster, coming):
        return
    both = carried if coming.client.pem in carried else carried + coming.client.pem
    # A run that is killed here must not leave half a bundle under the name that clients are given.
    path = trust_both_file(cluster)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(both)
    temporary.rename(path)


def just_rotated(credentials: Credentials, now: datetime) -> Path | None:
    """Find what a rotation has left behind that ended within the last day.

    Args:
        credentials: what is here.
        now: the controller's time.

    Returns:
        The folder of the authorities before it; None where there was no such rotation.
    """
    here = credentials.here
    if here is None or now - here.client.certificate.not_valid_before_utc >= BACKDATE + _YOUNG:
        return None
    before = _before(credentials.cluster, here)
    return before if before.exists() else None


def _before(cluster: Cluster, authorities: Authorities) -> Path:
    return pki_folder(cluster.settings) / f"before-{authorities.client.fingerprint[:16]}"


def adopt_next(cluster: Cluster, coming: Authorities) -> None:
    """Make the next authorities the present ones; the old ones are moved aside.

    The next ones stay where they are until the last step, so that a run that was cut off here is finished by another.

    Args:
        cluster: the cluster.
        coming: the next authorities, which all hosts carry alone.
    """
    folder, waiting, aside = pki_folder(cluster.settings), next_folder(cluster), _before(cluster, coming)
    if brought(cluster.settings, keys=False) is not None:
        # They stay where the operator keeps them; what else waits here was never made the present one.
        _put_away(waiting)
        return
    Store(folder).make_folder()
    aside.mkdir(mode=0o700, exist_ok=True)
    for name in _FILES:
        present, new = folder / name, waiting / name
        known = new.exists() and present.exists() and present.read_bytes() == new.read_bytes()
        if present.exists() and not known and not (aside / name).exists():
            present.rename(aside / name)
    for name in _FILES:
        if (waiting / name).exists():
            # Copied with its mode into a folder of ours alone; a key is never half there under its name.
            shutil.copy2(waiting / name, folder / f".{name}.new")
            (folder / f".{name}.new").rename(folder / name)
    done = _put_away(waiting)
    for name in _FILES:
        # They lie one folder above now; a second copy of a key would only be one more to guard.
        (done / name).unlink(missing_ok=True)


def _put_away(waiting: Path) -> Path:
    done = waiting.with_name(f"next-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    return waiting.rename(done)
