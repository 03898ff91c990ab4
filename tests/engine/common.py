"""What the tests of converging have in common."""

from tests.engine.fakes import PROBE

N1, N2, N3 = HOSTS = ("@fake/n1", "@fake/n2", "@fake/n3")
MODES = ["", "serial", "no_wait"]
# Something that every member has to be restarted for.
SLOWER = {"etcd_config": {"heartbeat-interval": 200, "election-timeout": 2000}}


def counts(result):
    return {host: len(commands) for host, commands in result.commands.items()}


def all_commands(result):
    return [command for commands in result.commands.values() for command in commands]


def only_looked(result):
    return all(PROBE in command for command in all_commands(result)) and not any(result.stdin.values())


def everything_below(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def stops_when(condition, how="before"):
    return lambda host, command: how if condition(host, command) else ""


def unreachable(world):
    world.hosts[N3].reachable = False


def cut_short(world):
    world.hosts[N3].lines = world.hosts[N3].lines[:-1]


def silent_probe(world):
    world.hosts[N3].lines = []


def half(world):
    world.show(N2, "half")


def clone(world):
    world.hosts[N2].lines = [
        next(one for one in world.hosts[N1].lines if one.startswith("data wal ")) if line.startswith("data wal ") else line
        for line in world.hosts[N2].lines
    ]  # fmt: skip


def lost_disk(world, host=N2):
    world.hosts[host].lines = [line for line in world.lines(host, "stopped") if not line.startswith("data ")]


def no_rights(world):
    world.hosts[N2].lines = ["uid 1000" if line == "uid 0" else line for line in world.hosts[N2].lines]


def another_etcd(world):
    world.hosts[N2].lines.insert(-1, "process 99 /usr/bin/etcd --config-file=/etc/other.yml")


def another_machine(world):
    world.hosts[N2].lines = [
        "machine mips64" if line.startswith("machine") else line for line in world.hosts[N2].lines
    ]


def another_cluster(world):
    world.show(N2, "converged", cluster_id=0xABC)


def other_authority(world):
    for path in (world.pki / "etcd").glob("*ca*"):
        path.rename(path.with_name(f"away-{path.name}"))
    missing = world.cluster.member(N2).settings.certificate_path("health", "n2")
    world.hosts[N2].lines = [line for line in world.hosts[N2].lines if missing not in line]
