"""Time: etcd's certificates and elections need clocks that agree."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from pyinfra import context
from pyinfra.api import FunctionCommand, OperationError, StringCommand, operation
from pyinfra.operations import apk, apt, dnf

from etcd_steward.facts.probe import Probe
from etcd_steward.failing import failing
from etcd_steward.observed import HostState
from etcd_steward.operations.files import FileSpec, writing
from etcd_steward.platforms import Packages, package_manager
from etcd_steward.shell import script
from etcd_steward.templating import render

__all__ = ["synchronised"]

_INSTALL: Mapping[str, Any] = {"apk": apk.packages, "apt": apt.packages, "dnf": dnf.packages}


@operation()
def synchronised(
    servers: Sequence[str] = (),
    timezone: str | None = None,
    step: bool = True,
    state: HostState | None = None,
) -> Generator[StringCommand | FunctionCommand, None, None]:
    """
    Install, configure and enable chrony, and set the time zone.

    + servers: time servers; with none the distribution's configuration stays as it is
    + timezone: such as Asia/Shanghai; otherwise it stays as it is
    + step: let the first correction be a step
    + state: what the probe told, where the caller knows; otherwise the host is asked

    **Example:**

    .. code:: python

        from etcd_steward.operations import time

        time.synchronised(name="Synchronise the clock", servers=["ntp1.aliyun.com"], timezone="Asia/Shanghai")
    """
    host = context.host
    known = state or host.get_fact(Probe)
    if not known.reached:
        yield failing(
            f"found no answer to the probe ({known.problem}), wanted one; next: bring this host back"
        )
        return
    packages = package_manager(known.os_id, known.os_like)
    if packages is None:
        raise OperationError(
            f"{host.name}: found {known.os_name or 'an unknown system'}, wanted one with apk, apt or dnf; "
            "next: install chrony by hand and set etcd_time_sync = False",
        )
    config = render("chrony.conf.j2", servers=servers, step=step)
    found = known.files.get(packages.chrony_config)
    configure = bool(servers) and (
        found is None or found.sha256 != hashlib.sha256(config.encode()).hexdigest()
    )
    rezone = timezone is not None and known.zone != timezone
    if {"installed", "enabled"} <= known.time and not configure and not rezone:
        host.noop("chrony is already installed, configured and enabled")
        return
    wanted = [] if "installed" in known.time else ["chrony"]
    if rezone and packages.name == "apk":  # where time zones are a package of their own
        wanted.append("tzdata")
    if wanted:
        yield from _INSTALL[packages.name]._inner(
            packages=wanted, **({} if packages.name == "dnf" else {"update": True})
        )
    if configure:
        yield from _write(packages, config)
    yield StringCommand(
        script(
            "guard.sh",
            "time.sh",
            init=known.init,
            daemon=packages.chrony_service,
            zone=timezone if rezone else None,
            step="yes" if step else "no",
        ),
    )


def _write(packages: Packages, config: str) -> Generator[StringCommand, None, None]:
    path = packages.chrony_config
    aside = f"if [ -f {path} ] && ! grep -q 'ritten by etcd-steward' {path}; then cp -p {path} {path}.before-etcd-steward; fi"
    yield writing([FileSpec(path, config).made()], before=aside)
