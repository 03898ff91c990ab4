"""Keep a cluster's certificate authorities in a folder on the controller."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etcd_steward.certificates import Authority, PkiError, Subject, key_text
from etcd_steward.locked_keys import locked_text
from etcd_steward.pem_files import (
    PASSPHRASE,
    Authorities,
    file_errors_told,
    given,
    read_authority,
    ready_made,
    told_apart,
)
from etcd_steward.pki import create_authority
from etcd_steward.private import NotPrivateError, private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

__all__ = ["PASSPHRASE", "Authorities", "PkiError", "Store", "given", "ready_made"]

_CERTIFICATES = ("ca.pem", "peer-ca.pem")
_KEYS = ("ca-key.pem", "peer-ca-key.pem")


class Store:
    """The folder of one cluster's authorities: `ca.pem ca-key.pem peer-ca.pem peer-ca-key.pem`.

    Args:
        folder: `etcd_pki_dir/<cluster>`; its last part names the authorities.
        environ: Where the passphrase of the keys is looked up.
    """

    def __init__(self, folder: Path, *, environ: Mapping[str, str] = os.environ) -> None:
        self.folder = folder
        self._environ = environ

    def load(self, *, keys: bool = True) -> Authorities | None:
        """Read the authorities.

        Args:
            keys: Whether to open the keys too; without, no passphrase is needed and nothing can be signed.

        Returns:
            The authorities, None when there are none. Where both keys are kept elsewhere, they cannot sign.

        Raises:
            PkiError: Only some of the files are there, or one cannot be read or does not match.
        """
        with file_errors_told():
            if not self._present():
                return None
            with self._lock(fcntl.LOCK_SH):
                present = self._present()
                if missing := self._missing(present):
                    raise PkiError(
                        f"{self.folder}: found {', '.join(present)} without {', '.join(missing)}, "
                        "wanted all or none; next: bring the missing files back from a copy; only if no host "
                        "carries these authorities, move the folder aside"
                    )
                keys = keys and _KEYS[0] in present
                client, peer = (
                    read_authority(
                        self.folder / certificate, self.folder / key if keys else None, self._environ
                    )
                    for certificate, key in zip(_CERTIFICATES, _KEYS, strict=True)
                )
        return told_apart(client, peer, f"{self.folder}")

    def create(self, subject: Subject, days: int, now: datetime, name: str | None = None) -> Authorities:
        """Make both authorities and write them; the keys are encrypted when the passphrase is set.

        Args:
            subject: Their subject fields besides the common name.
            days: Their validity.
            now: The current time, with time zone.
            name: What they are called after; otherwise the folder.

        Returns:
            The new authorities, safely on disk.

        Raises:
            PkiError: Some file is already there, another run works here, or the folder cannot be written.
        """
        with file_errors_told():
            self.make_folder()
            with self._lock(fcntl.LOCK_EX):
                if present := self._present():
                    raise PkiError(
                        f"{self.folder}: found {', '.join(present)}, wanted no authority yet; "
                        "next: use it, or move the folder aside if no host carries it"
                    )
                name = name or self.folder.name
                client, peer = (
                    create_authority(f"etcd {kind} CA of {name}"[:64], subject=subject, days=days, now=now)
                    for kind in ("client", "peer")
                )
                contents = (client.pem, peer.pem, self._key_pem(client), self._key_pem(peer))
                _write_new(self.folder, dict(zip((*_CERTIFICATES, *_KEYS), contents, strict=True)))
        return Authorities(client, peer)

    def has_keys(self) -> bool:
        """Tell whether both keys lie there; they are not opened."""
        with file_errors_told():
            return set(_KEYS) <= set(self._present())

    def make_folder(self) -> None:
        """Make the folder, for this account alone and hidden from git.

        Raises:
            PkiError: others can enter it, and it cannot be closed.
        """
        try:
            private_folder(self.folder)
        except NotPrivateError as error:
            raise PkiError(str(error)) from error

    def _present(self) -> list[str]:
        # A folder that cannot be listed must raise: taken for empty, it would get new authorities.
        try:
            entries = os.listdir(self.folder)  # noqa: PTH208
        except FileNotFoundError:
            return []
        return [name for name in (*_CERTIFICATES, *_KEYS) if name in entries]

    @staticmethod
    def _missing(present: list[str]) -> list[str]:
        wanted = (*_CERTIFICATES, *_KEYS) if any(key in present for key in _KEYS) else _CERTIFICATES
        return [name for name in wanted if name not in present]

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        writes = kind == fcntl.LOCK_EX
        try:
            flags = os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY
            descriptor = os.open(self.folder / ".lock", flags | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            # Files copied by hand, on which no run of ours is at work.
            yield
            return
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PkiError(
                    f"{self.folder}: found another run at work here, wanted to be the only one; "
                    "next: run again when it has ended"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def _key_pem(self, authority: Authority) -> str:
        passphrase = self._environ.get(PASSPHRASE)
        assert authority.key is not None  # noqa: S101 - just made
        return locked_text(authority.key, passphrase) if passphrase else key_text(authority.key)


def _write_new(folder: Path, contents: Mapping[str, str]) -> None:
    made: list[Path] = []
    try:
        for name, text in contents.items():
            temporary = folder / f".{name}.{secrets.token_hex(4)}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            made.append(temporary)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for name, temporary in zip(contents, tuple(made), strict=True):
            temporary.rename(folder / name)
            made.append(folder / name)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        # Nobody has these authorities yet; half of them would only stop the next run.
        for path in made:
            path.unlink(missing_ok=True)
        raise
