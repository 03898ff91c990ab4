"""The target images: one recipe per family, whether its base came from a registry or was assembled here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from . import bases, dockerfiles, emulation, keys
from .bases import FAMILIES, Family
from .common import HERE

BUILT_ON = {"kubelet": "debian", "kubelet-containerd2": "kubelet"}
PREPARATION = {"openrc": "openrc-prep.sh", "systemd": "systemd-prep.sh"}


@cache
def build(family_name: str) -> str:
    """Make a family's target image available.

    Returns:
        Its tag. The label `etcdtest.base` says `real` or `stand-in`.
    """
    family = FAMILIES[family_name]
    if family.architecture == "arm64":
        emulation.ensure()
    if family.kubelet:
        base, context = build(BUILT_ON[family_name]), {"kubelet": HERE / "kubelet"}
    else:
        base, preparation = bases.base(family), PREPARATION[family.init]
        context = {
            preparation: HERE / preparation,
            "authorized_keys": keys.public("deploy"),
            "ssh_host_ed25519_key": keys.private("host"),
        }
    labels = {"etcdtest.base": family.origin, "etcdtest.family": family.name}
    return dockerfiles.build(
        f"etcdtest/{family.name}", HERE / family.dockerfile, base, context,
        architecture=family.architecture, labels=labels,
    )  # fmt: skip


def build_all(families: list[str] | None = None) -> dict[str, str]:
    """Build several families at once; what they share is built once."""
    names = families or [name for name, family in FAMILIES.items() if not family.kubelet]
    bases.mode()
    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(build, names), strict=True))


def origin(family_name: str) -> str:
    """Say whether a family is `real` or a `stand-in` in this run."""
    return FAMILIES[family_name].origin


def title(family: Family | str) -> str:
    """Name a family for a test's result line, e.g. `centos(stand-in)`."""
    name = family if isinstance(family, str) else family.name
    return f"{name}({origin(name)})"
