"""Repositories of packages: what they bring, how a package manager is told of them, and what helps where they are out of reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from etcd_steward.platforms import REPOSITORY_FILES, RepositoryFiles
from etcd_steward.shell import Content
from etcd_steward.templating import render

__all__ = ["CRIO", "KUBERNETES", "Repository", "crio", "definition", "key_url", "kubernetes", "needed"]

KUBERNETES = "https://pkgs.k8s.io/core:/stable:"
CRIO = "https://download.opensuse.org/repositories/isv:/cri-o:/stable:"


@dataclass(frozen=True)
class Repository:
    """A repository of packages.

    Args:
        name: what its files are called.
        title: what it is told as.
        url: where it is, without the kind of its packages.
        brings: the packages that come from it.
        cure: what helps where it is out of reach.
        exclude: packages that an upgrade of the system must not touch.
    """

    name: str
    title: str
    url: str
    brings: frozenset[str]
    cure: str
    exclude: str = ""


def kubernetes(minor: str, base: str | None, cure: str) -> Repository:
    """Describe the repository of a minor version of Kubernetes.

    Args:
        minor: such as 1.36.
        base: its address up to the minor version, or None for Kubernetes' own.
        cure: what helps where it is out of reach.
    """
    brings = ("kubelet", "kubeadm", "kubectl", "cri-tools", "kubernetes-cni")
    url = f"{(base or KUBERNETES).rstrip('/')}/v{minor}"
    return Repository("kubernetes", "Kubernetes", url, frozenset(brings), cure, " ".join(brings))


def crio(minor: str, cure: str) -> Repository:
    """Describe the repository of CRI-O for a minor version of Kubernetes.

    Args:
        minor: such as 1.36.
        cure: what helps where it is out of reach.
    """
    return Repository("cri-o", "CRI-O", f"{CRIO}/v{minor}", frozenset({"cri-o"}), cure)


def needed(repositories: Iterable[Repository], packages: Iterable[str]) -> list[Repository]:
    """Choose the repositories that packages come from; all other packages are the distribution's own.

    Args:
        repositories: those that may be added to a host.
        packages: what is to be installed, with a release or without.
    """
    names = {package.partition("=")[0] for package in packages}
    return [
        one
        for one in repositories
        # A release is behind a sign of the package manager's own: kubelet=1.36.3-*, kubelet-1.36.3.
        if any(name == known or name.startswith(f"{known}-1.") for known in one.brings for name in names)
    ]


def files_of(repository: Repository, manager: str) -> RepositoryFiles:
    """Say where a package manager has a repository's files.

    Args:
        repository: the repository.
        manager: the package manager.
    """
    return REPOSITORY_FILES[manager].named(repository.name)


def key_url(repository: Repository, manager: str) -> str:
    """Say where a repository's key is, for a package manager that does not fetch it; empty for others.

    Args:
        repository: the repository.
        manager: the package manager.
    """
    files = files_of(repository, manager)
    return f"{repository.url}/{files.folder}/Release.key" if files.key else ""


def definition(repository: Repository, manager: str) -> Content:
    """Write the file that tells a package manager of a repository.

    Args:
        repository: the repository.
        manager: the package manager.
    """
    files = files_of(repository, manager)
    url = f"{repository.url}/{files.folder}/"
    return Content(files.definition, render(files.template, url=url, key=files.key, repository=repository))
