"""How a member is started, stopped and asked after: by systemd, by OpenRC, or by a kubelet as a static pod.

One interface, so that nothing else has to know which of the three it is. Each command is one word or list of shell that
can stand between braces.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from etcd_steward.manifest import image
from etcd_steward.platforms import CONTAINER_RUNTIMES, INITS
from etcd_steward.settings import Settings
from etcd_steward.shell import script
from etcd_steward.versions import Version

__all__ = ["Runtime", "runtime", "start_check_path"]

# Kubelet gives etcd 30 s to end, and reads its folder anew every 20 s where it missed the change.
_STOP_SECONDS = 90


@dataclass(frozen=True)
class Runtime:
    """How one member is asked to do things.

    Args:
        name: systemd, openrc or static_pod.
        definition: path of what the init system or kubelet reads.
        load: makes a changed definition known.
        enable: starts the member at boot.
        disable: stops it and does not start it at boot any more.
        start: starts it without waiting for etcd's quorum.
        stop: stops it and waits.
        logs: prints its last lines.
        fetch: brings what is needed to run a release, before anything is stopped.
        advice: what a person is told to look at, where it is more than that.
        before_text: what stands before etcd's own words in a line of its log.
    """

    name: str
    definition: str
    load: str
    enable: str
    disable: str
    start: str
    stop: str
    logs: str
    fetch: str = ""
    advice: str = ""
    before_text: tuple[str, ...] = ()

    def last_lines(self, number: int) -> str:
        """Say how more of the log's last lines are printed than people are shown."""
        return f"{self.logs.removesuffix('50')}{number}"

    def text(self, line: str) -> str:
        """Cut what the log's keeper has put before etcd's own words."""
        for mark in self.before_text:
            line = line.partition(mark)[2]
        return line


def start_check_path(settings: Settings) -> str:
    """Say where the script lies that runs before every start."""
    return f"/etc/etcd-steward/{settings.etcd_service}-start"


def runtime(settings: Settings, init: str, version: Version | None = None) -> Runtime:
    """Choose how a host's member is run.

    Args:
        settings: the host's settings.
        init: its init system, as the probe told.
        version: the release that is about to be started, where one is.

    Returns:
        The commands, ready to be run.
    """
    if settings.pod:
        return _static_pod(settings, version)
    row, name = INITS[init], settings.etcd_service
    return Runtime(
        name=row.name,
        definition=row.definition.format(name=name),
        load=row.load,
        enable=row.enable.format(name=name),
        disable=row.disable.format(name=name),
        start=row.start.format(name=name),
        stop=row.stop.format(name=name),
        logs=row.logs.format(name=name),
        before_text=(f" {name}", ": "),
    )


def _static_pod(settings: Settings, version: Version | None) -> Runtime:
    host = CONTAINER_RUNTIMES[settings.etcd_container_runtime]
    units = f"{host.service} kubelet.service"
    stop = _word(
        "processes.sh",
        "pod-look.sh",
        "pod-stop.sh",
        manifest=settings.manifest_path,
        was=f"{settings.config_path}.stopped",
        data_dir=settings.etcd_data_dir,
        seconds=_STOP_SECONDS,
    )
    logs = f"/var/log/pods/kube-system_{settings.etcd_service}-*/etcd/*.log"
    return Runtime(
        name="static_pod",
        definition=settings.manifest_path,
        load=":",
        enable=f"systemctl enable --quiet {units}",
        # Kubelet itself goes on: it may run other pods.
        disable=stop,
        start=_word(
            "pod-start.sh",
            check=start_check_path(settings),
            wanted=settings.config_path,
            manifest=settings.manifest_path,
            units=units,
        ),
        stop=stop,
        # Without a log there is still something to read.
        logs=f"cat $(ls -t {logs} | head -n 1) /dev/null | tail -n 50",
        advice=f"journalctl -u kubelet -n 50; tail -n 50 {logs}",
        fetch=_word("pod-fetch.sh", socket=host.socket, image=image(settings.etcd_image, version))
        if version
        else "",
        before_text=(" F ",),
    )


def _word(*fragments: str, **values: str | int) -> str:
    return f"sh -c {shlex.quote(script(*fragments, **values) + '')}"
