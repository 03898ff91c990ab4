"""A drop-in that adds an option to docker's command keeps whatever else the host's own files say."""

from __future__ import annotations

import pytest

from etcd_steward.docker_unit import config_file, parse_unit, program_of

# docker.io 20.10.24 of Debian 12, as `systemctl cat` prints it.
DEBIAN = """# /lib/systemd/system/docker.service
[Unit]
Description=Docker Application Container Engine
# /etc/default/docker is read below

[Service]
Type=notify
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
""".splitlines()
OWN = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"
OURS = """
# /etc/systemd/system/docker.service.d/zz-flannel.conf
# Written by etcd-steward; changes here are overwritten.
[Service]
EnvironmentFile=/run/flannel/docker
ExecStart=
ExecStart=/usr/bin/dockerd $DOCKER_NETWORK_OPTIONS
""".splitlines()


def drop_in(*lines: str) -> list[str]:
    return ["", "# /etc/systemd/system/docker.service.d/override.conf", "[Service]", *lines]


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        (DEBIAN, OWN),
        ([*DEBIAN, *OURS], OWN),
        ([*DEBIAN, *drop_in("ExecStart=", "ExecStart=/opt/dockerd --debug")], "/opt/dockerd --debug"),
        (
            [*DEBIAN, *drop_in("ExecStart =", "ExecStart = /opt/dockerd \\", "# why", "  --debug"), *OURS],
            "/opt/dockerd --debug",
        ),
        ([*DEBIAN, *drop_in("Environment=DOCKER_OPTS=-D")], OWN),
        ([*DEBIAN, *drop_in("ExecStart=")], ""),
        ([], ""),
    ],
)
def test_the_command_is_the_last_one_that_is_not_ours(lines: list[str], command: str) -> None:
    found = parse_unit(lines, ())
    assert (found.unit, found.command) == (bool(lines), command)


@pytest.mark.parametrize(
    ("setting", "unit", "started"),
    [
        (None, DEBIAN, f"{OWN} $DOCKER_NETWORK_OPTIONS"),
        ("/opt/dockerd -D", DEBIAN, "/opt/dockerd -D $DOCKER_NETWORK_OPTIONS"),
        (None, drop_in("ExecStart=/a $DOCKER_NETWORK_OPTIONS -D"), "/a $DOCKER_NETWORK_OPTIONS -D"),
        (None, drop_in("ExecStart=/a ${DOCKER_NETWORK_OPTIONS}"), "/a ${DOCKER_NETWORK_OPTIONS}"),
        ("/opt/dockerd", [], ""),
    ],
)
def test_flannels_options_stand_behind_it_once(setting: str | None, unit: list[str], started: str) -> None:
    assert parse_unit(unit, ()).started(setting) == started


def test_the_signs_of_systemd_are_no_part_of_a_program() -> None:
    assert [program_of(text) for text in ("-/a -b", "+@/a x", "/a", "")] == ["/a", "/a", "/a", ""]


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("/usr/bin/dockerd -H fd://", "/etc/docker/daemon.json"),
        ("/usr/bin/dockerd --config-file=/etc/own.json -D", "/etc/own.json"),
        ("/usr/bin/dockerd --config-file /etc/own.json", "/etc/own.json"),
        ("", ""),
    ],
)
def test_the_file_that_docker_reads_beside_its_flags_is_the_one_that_it_is_told(
    command: str, path: str
) -> None:
    assert config_file(command) == path
