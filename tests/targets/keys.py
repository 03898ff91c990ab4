"""The key pairs of the test targets, made when missing and kept in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .common import CACHE, locked, need, run

if TYPE_CHECKING:
    from pathlib import Path


def private(name: Literal["deploy", "host", "archive"]) -> Path:
    """Give a private key; its public half lies beside it.

    Args:
        name: `deploy` logs in, `host` is the targets' own, `archive` (RSA) signs Alpine's package archive.
    """
    path = CACHE / "keys" / name
    with locked("keys"):
        if not path.exists():
            need("ssh-keygen")
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            kind = ["-t", "rsa", "-b", "2048", "-m", "PEM"] if name == "archive" else ["-t", "ed25519"]
            run("ssh-keygen", "-q", *kind, "-N", "", "-C", "etcd-steward test targets", "-f", path)
    return path


def public(name: Literal["deploy", "host", "archive"]) -> Path:
    """Give the public half: a line for OpenSSH, or PEM for apk."""
    path = private(name).with_suffix(".pub")
    if name == "archive" and "BEGIN" not in path.read_text():
        path.write_text(run("ssh-keygen", "-e", "-m", "PKCS8", "-f", path).stdout)
    return path
