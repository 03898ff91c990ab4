# shellcheck shell=bash
# Sourced by scripts/demo, scripts/test and scripts/check: what has to be there before they can work.
# Callers use `set -euo pipefail`; every function prints one line before anything that takes long.

REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
STATE="$REPO/.state"
PYTHON="$REPO/.venv/bin/python"

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

quietly() { # quietly LOG COMMAND...: its output goes to LOG; a sign of life every 6 s
    local log="$1" pid ticks=0
    shift
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        ticks=$((ticks + 1))
        [ $((ticks % 30)) -ne 0 ] || say "still at it: $((ticks / 5)) s"
    done
    wait "$pid"
}

is_root() { [ "$(id -u)" -eq 0 ]; }

apt_install() { # apt_install PACKAGE...: nothing when all are there
    local package log="$STATE/apt.log" missing=()
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "missing: ${missing[*]}; next: install them with this system's package manager"
    is_root || fail "missing: ${missing[*]}; next: run as root: apt-get install ${missing[*]}"
    mkdir -p "$STATE"
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get -s install "${missing[@]}" >/dev/null 2>&1; then
        say "apt-get update"
        quietly "$log" apt-get -q update || fail "apt-get update failed; next: read $log"
    fi
    say "apt-get install ${missing[*]}"
    quietly "$log" apt-get -q install -y --no-install-recommends "${missing[@]}" ||
        { tail -5 "$log" >&2; fail "apt-get install failed; next: read $log"; }
}

find_python() { # prints the first python >= 3.11 on the PATH
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer on the PATH; next: install one (apt-get install python3) and run again"
}

ensure_venv() { # ensure_venv [EXTRA]: .venv with this package, editable, and with what tests need unless EXTRA is empty
    local extra="${1-test}" stamp="$REPO/.venv/.stamp" python declared
    python="$(find_python)"
    declared="$(cat "$REPO/setup.cfg" "$REPO/pyproject.toml" | sha256sum)"
    if [ -x "$PYTHON" ] && "$PYTHON" -c '' 2>/dev/null; then
        case "$(cat "$stamp" 2>/dev/null)" in "test $declared" | "$extra $declared") return 0 ;; esac
    fi
    mkdir -p "$STATE"
    if ! [ -x "$PYTHON" ] || ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        "$python" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
        say "making .venv with $("$python" --version)"
        "$python" -m venv --clear "$REPO/.venv"
    fi
    say "installing etcd-steward${extra:+[$extra]} into .venv"
    quietly "$STATE/pip.log" "$PYTHON" -m pip install -q --disable-pip-version-check -e "$REPO${extra:+[$extra]}" ||
        { tail -5 "$STATE/pip.log" >&2; fail "pip install failed; next: read $STATE/pip.log"; }
    printf '%s' "$extra $declared" >"$stamp"
}

started_at() { cut -d' ' -f22 "/proc/$1/stat" 2>/dev/null; }

ensure_docker() { # ensure_docker [OWNER]: a Docker that answers; started here, for OWNER, only when nothing else runs it
    local owner="${1:-hand}"
    ensure_inotify
    docker info >/dev/null 2>&1 && return 0
    is_root || fail "Docker does not answer (docker info); next: start it, and put $(id -un) in the group docker"
    if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then apt_install docker.io iptables; fi
    if ! docker info >/dev/null 2>&1; then
        if [ -d /run/systemd/system ]; then
            say "systemctl start docker"
            systemctl start docker
            mkdir -p "$STATE"
            printf 'systemd - %s\n' "$owner" >"$STATE/dockerd.started"
        else
            start_dockerd "$owner"
        fi
    fi
    wait_for_docker
}

start_dockerd() { # start_dockerd OWNER
    mkdir -p "$STATE"
    say "starting dockerd (log: $STATE/dockerd.log)"
    # A daemon that was killed leaves its pid file, and dockerd refuses to start when that pid is in use again.
    # Its containerd leaves one too, and dockerd would take any process of that number for it.
    local file
    for file in /run/docker.pid /run/docker/containerd/containerd.pid; do
        if [ -f "$file" ] && ! grep -qsE 'dockerd|containerd' "/proc/$(cat "$file")/comm"; then mv -f "$file" "$file.stale"; fi
    done
    setsid nohup dockerd >"$STATE/dockerd.log" 2>&1 </dev/null &
    disown $! 2>/dev/null || true
    wait_for_docker
    local pid
    pid="$(cat /run/docker.pid)"
    printf '%s %s %s\n' "$pid" "$(started_at "$pid")" "$1" >"$STATE/dockerd.started"
}

wait_for_docker() {
    local tries
    for tries in $(seq 120); do
        docker info >/dev/null 2>&1 && return 0
        [ $((tries % 20)) -ne 0 ] || say "waiting for Docker to answer"
        sleep 0.5
    done
    tail -5 "$STATE/dockerd.log" >&2 2>/dev/null || true
    fail "Docker does not answer after 60 s; next: read $STATE/dockerd.log, or run: docker info"
}

stop_docker_if_started() { # stop_docker_if_started [OWNER]: ends exactly the Docker that was started for OWNER, if any
    local pid when owner
    [ -f "$STATE/dockerd.started" ] || return 0
    read -r pid when owner <"$STATE/dockerd.started"
    [ "${owner:-hand}" = "${1:-hand}" ] || return 0
    if [ -n "$(docker ps -q 2>/dev/null)" ]; then
        say "Docker still runs containers, so it is left running; scripts/demo --down ends it when they are gone"
        printf '%s %s demo\n' "$pid" "$when" >"$STATE/dockerd.started"
        return 0
    fi
    mv -f "$STATE/dockerd.started" "$STATE/dockerd.stopped"
    if [ "$pid" = systemd ]; then
        say "systemctl stop docker"
        systemctl stop docker.socket docker.service
        return 0
    fi
    [ -n "$when" ] && [ "$(started_at "$pid")" = "$when" ] || return 0
    say "stopping the dockerd that was started here"
    kill "$pid"
    while [ "$(started_at "$pid")" = "$when" ]; do sleep 0.2; done
}

ensure_inotify() { # above about 16 systemd containers the kernel's default of 128 is too few
    local key=/proc/sys/fs/inotify/max_user_instances
    [ "$(cat "$key" 2>/dev/null || echo 1024)" -lt 1024 ] || return 0
    if is_root && echo 1024 2>/dev/null >"$key"; then return 0; fi
    say "fs.inotify.max_user_instances is $(cat "$key"): many containers at once need" \
        "(as root) sysctl -w fs.inotify.max_user_instances=1024"
}
