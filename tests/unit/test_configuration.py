"""What is promised about etcd's configuration file."""

import dataclasses
import json
import re
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from etcd_steward import config_keys, configuration
from etcd_steward.configuration import RESERVED, Config, TlsFiles, advise, check, render
from etcd_steward.raft_snapshots import frequent
from etcd_steward.settings import read_settings
from etcd_steward.versions import NEWEST, parse

TAGS = json.loads((Path(__file__).parents[1] / "data/etcd-config-tags.json").read_text())
TABLE = json.loads(resources.files("etcd_steward.data").joinpath("etcd-config-keys.json").read_text())
V34, V35, V36, V37 = (NEWEST[line] for line in ("3.4", "3.5", "3.6", "3.7"))
LINES = [V34, V35, V36, V37]

CONFIG = Config(
    name="b",
    data_dir="/var/lib/etcd",
    wal_dir=None,
    listen_peer_urls=("https://198.18.0.2:2380",),
    listen_client_urls=("https://198.18.0.2:2379", "https://127.0.0.1:2379"),
    advertise_peer_urls=("https://198.18.0.2:2380",),
    advertise_client_urls=("https://198.18.0.2:2379",),
    initial_cluster={
        "b": ("https://198.18.0.2:2380",),
        "a": ("https://198.18.0.1:2380", "https://[fd00::1]:2380"),
    },
    token="k3s-0a1b2c3d",
    state="new",
    client_tls=TlsFiles("/pki/server.crt", "/pki/server.key", "/pki/ca.crt"),
    peer_tls=TlsFiles("/pki/peer.crt", "/pki/peer.key", "/pki/peer-ca.crt"),
)


def with_(**changes):
    return dataclasses.replace(CONFIG, **changes)


def written(config=CONFIG, version=V35):
    return yaml.safe_load(render(config, version))


@pytest.mark.parametrize("version", LINES, ids=str)
def test_a_rendered_file_has_only_keys_that_its_release_reads(version):
    content = written(version=version)
    assert all(version.minor_line in TABLE["keys"][key]["since"] for key in content)
    for section in ("client-transport-security", "peer-transport-security"):
        assert all(
            version.minor_line in TABLE["transport-security"][key]["since"] for key in content[section]
        )


@pytest.mark.parametrize("version", LINES, ids=str)
def test_clients_and_peers_must_show_a_certificate(version):
    content = written(version=version)
    for section in ("client-transport-security", "peer-transport-security"):
        assert content[section]["client-cert-auth"] is True
        assert "auto-tls" not in content[section]


def test_urls_are_written_as_one_text_and_log_outputs_as_a_list():
    content = written()
    assert content["listen-client-urls"] == "https://198.18.0.2:2379,https://127.0.0.1:2379"
    assert content["log-outputs"] == ["stderr"]


def test_the_order_of_the_inventory_does_not_change_the_file():
    other = with_(initial_cluster=dict(reversed(CONFIG.initial_cluster.items())))
    assert render(other, V35) == render(CONFIG, V35)
    assert written()["initial-cluster"] == (
        "a=https://198.18.0.1:2380,a=https://[fd00::1]:2380,b=https://198.18.0.2:2380"
    )


def test_without_the_lines_of_the_bootstrap_a_grown_cluster_has_the_same_file():
    cluster = {f"etcd{n:03}": (f"https://etcd{n:03}.example.org:2380",) for n in range(60)}
    grown = with_(initial_cluster=cluster, state="existing", token="other-1")

    def kept(config):
        return [line for line in render(config, V35).splitlines() if not line.startswith("initial-")]

    assert kept(grown) == kept(CONFIG)


def test_a_separate_folder_for_the_write_ahead_log_is_written_only_where_it_is_set():
    assert "wal-dir" not in written()
    assert written(with_(wal_dir="/ssd/wal"))["wal-dir"] == "/ssd/wal"


def test_the_first_line_says_who_wrote_the_file():
    first = render(CONFIG, V35).splitlines()[0]
    assert first.startswith("# Written by etcd-steward, which overwrites changes")


def test_no_value_is_folded_over_lines():
    lines = render(with_(token="far too long " * 20, name="é" * 200), V35).splitlines()
    assert len(lines) == len(render(CONFIG, V35).splitlines())


@pytest.mark.parametrize("field", ["name", "token", "data_dir"])
def test_a_value_of_two_lines_is_refused(field):
    with pytest.raises(ValueError, match="wanted one line of text"):
        render(with_(**{field: "a\ninitial-cluster-state: new"}), V35)


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True))
def test_every_name_is_read_back_as_text(name):
    assert written(with_(name=name))["name"] == name


@pytest.mark.parametrize("name", ["1e3", "0o17", "12e4", "007", "1_000", ".5", "null", "true", "~"])
def test_a_name_that_a_yaml_reader_may_take_for_something_else_is_quoted(name):
    assert f"name: '{name}'" in render(with_(name=name), V35)


def test_peers_are_told_apart_by_name_where_the_file_can_say_so():
    content = written(with_(peer_allowed_cn="etcd-peer"), parse("3.5.14"))
    assert content["peer-transport-security"]["allowed-cn"] == ["etcd-peer"]
    assert "allowed-cn" not in content["client-transport-security"]


@pytest.mark.parametrize("text", ["3.4.44", "3.5.13"])
def test_a_release_that_would_ignore_the_allowed_name_is_refused(text):
    with pytest.raises(ValueError, match=r"wanted 3\.5\.14 or later"):
        render(with_(peer_allowed_cn="etcd-peer"), parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.4.44", {}),
        ("3.5.1", {"experimental-initial-corrupt-check": True}),
        (
            "3.5.33",
            {"experimental-initial-corrupt-check": True, "experimental-compact-hash-check-enabled": True},
        ),
        ("3.6.14", {"feature-gates": "CompactHashCheck=true,InitialCorruptCheck=true"}),
        ("3.7.1", {"feature-gates": "CompactHashCheck=true,InitialCorruptCheck=true"}),
    ],
)
def test_wrong_data_is_looked_for_under_the_name_that_the_release_reads(text, expected):
    content = written(version=parse(text))
    assert {key: content[key] for key in content if "check" in key or key == "feature-gates"} == expected


def test_the_user_wins_over_our_defaults():
    content = written(
        with_(extra={"auto-compaction-retention": "0", "experimental-initial-corrupt-check": False})
    )
    assert content["auto-compaction-retention"] == "0"
    assert content["experimental-initial-corrupt-check"] is False


@pytest.mark.parametrize("gates", ["InitialCorruptCheck=false,SetMemberLocalAddr=true", None])
def test_feature_gates_of_the_user_are_added_to_ours(gates):
    extra = {"feature-gates": gates or {"InitialCorruptCheck": False, "SetMemberLocalAddr": True}}
    expected = "CompactHashCheck=true,InitialCorruptCheck=false,SetMemberLocalAddr=true"
    assert written(with_(extra=extra), V36)["feature-gates"] == expected


def test_durations_are_written_as_the_nanoseconds_that_the_file_wants():
    extra = {
        "grpc-keepalive-interval": "1h30m",
        "grpc-keepalive-timeout": "1.5s",
        "grpc-keepalive-min-time": 5000,
    }
    content = written(with_(extra=extra))
    assert content["grpc-keepalive-interval"] == 5400 * 10**9
    assert content["grpc-keepalive-timeout"] == 1500 * 10**6
    assert content["grpc-keepalive-min-time"] == 5000


def test_lists_of_urls_are_joined():
    extra = {"listen-metrics-urls": ["http://127.0.0.1:2381", "http://[::1]:2381"]}
    assert written(with_(extra=extra))["listen-metrics-urls"] == "http://127.0.0.1:2381,http://[::1]:2381"


def test_a_file_with_keys_that_the_release_ignores_is_not_written():
    with pytest.raises(ValueError, match=f"memory-mlock is ignored by etcd {V35}"):
        render(with_(extra={"memory-mlock": True}), V35)


@pytest.mark.parametrize("key", sorted(RESERVED))
@pytest.mark.parametrize("version", LINES, ids=str)
def test_f50_keys_that_we_decide_are_refused_with_what_to_do_instead(key, version):
    (complaint,) = check({key: "x"}, version)
    assert complaint == f"{key} is not yours to set ({RESERVED[key]})"


@pytest.mark.parametrize("key", ["auto-tls", "proxy", "discovery-fallback", "proxy-failure-wait", "ca-file"])
def test_flags_of_old_examples_are_refused_with_what_to_do_instead(key):
    (complaint,) = check({key: True}, V35)
    assert complaint.startswith(f"{key} is not yours to set (")


def test_a_misspelt_key_is_refused_with_the_key_that_was_meant():
    assert check({"heartbeat-intervall": 250}, V35) == [
        "heartbeat-intervall is no key of etcd's configuration file (did you mean heartbeat-interval?)",
    ]


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("debug", "3.5.33", "removed, now log-level: debug"),
        ("memory-mlock", "3.5.33", "it came with 3.6.0"),
        ("tls-min-version", "3.5.7", "it came with 3.5.8"),
        ("tls-min-version", "3.4.24", "it came with 3.4.25"),
        ("max-concurrent-streams", "3.5.4", "it came with 3.5.5"),
        ("experimental-corrupt-check-time", "3.7.1", "removed, now corrupt-check-time"),
        (
            "experimental-initial-corrupt-check",
            "3.7.1",
            "removed, now feature-gates: {InitialCorruptCheck: true}",
        ),
    ],
)
def test_f32_a_key_that_the_release_does_not_read_is_refused_with_its_history(key, text, reason):
    assert check({key: 1}, parse(text)) == [f"{key} is ignored by etcd {text}: {reason}"]


def test_a_renamed_key_is_refused_as_soon_as_its_new_name_works():
    assert check({"experimental-memory-mlock": True}, V35) == []
    assert check({"experimental-memory-mlock": True}, V36) == [
        "experimental-memory-mlock has been renamed: memory-mlock"
    ]


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("heartbeat-interval", "250", "a whole number"),
        ("heartbeat-interval", True, "a whole number"),
        ("max-txn-ops", -1, "a whole number"),
        ("pre-vote", "true", "true or false"),
        ("log-outputs", "stderr", "a list of texts"),
        ("log-level", ["debug"], "one line of text"),
        ("log-level", "info\nname: x", "one line of text"),
        ("grpc-keepalive-timeout", "20", "a duration such as 5m"),
        ("grpc-keepalive-timeout", "20 s", "a duration such as 5m"),
        ("listen-metrics-urls", 2381, "a text or a list of texts"),
        ("socket-options", True, "a map"),
        ("quota-backend-bytes", 8, "in bytes"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(key, value, wanted):
    assert check({key: value}, V35) == [f"{key} is {value!r}, which should be {wanted}"]


@pytest.mark.parametrize(
    "gates", ["InitialCorruptCheck", ["InitialCorruptCheck"], {"InitialCorruptCheck": "true"}]
)
def test_feature_gates_of_the_wrong_kind_are_refused(gates):
    (complaint,) = check({"feature-gates": gates}, V36)
    assert complaint.endswith("which should be a map of feature names to true or false")


def test_the_table_of_keys_is_what_upstreams_source_has_in_every_release():
    """`since` of each key against the fields of etcd's own structs, recorded from its tags and Go modules."""
    assert {key: entry["since"] for key, entry in TABLE["keys"].items()} == TAGS["keys"]
    secure = {key: entry["since"] for key, entry in TABLE["transport-security"].items()}
    assert secure == TAGS["transport-security"]


def test_feature_gates_are_those_of_upstreams_source_and_the_two_of_its_library():
    for text, gates in TAGS["feature-gates"].items():
        assert config_keys.values("feature-gates", parse(text)) == sorted([*gates, "AllAlpha", "AllBeta"])


def listed():
    for key, entry in TABLE["keys"].items():
        if "values" in entry and key not in RESERVED:
            for version in LINES:
                if config_keys.known(key, version) and not (
                    key.startswith("experimental-") and version >= V36
                ):
                    yield pytest.param(key, version, id=f"{key}-{version}")


def as_written(key, value):
    kind = config_keys.kind(key)
    return {"gates": {value: True}, "list": [value], "map": {value: True}}.get(kind, value)


@pytest.mark.parametrize(("key", "version"), list(listed()))
def test_a_value_outside_the_list_that_a_release_takes_is_refused_with_those_that_it_takes(key, version):
    allowed = config_keys.values(key, version)
    assert allowed
    (complaint,) = check({key: as_written(key, "nonsense")}, version)
    assert complaint.startswith(f"{key} ")
    assert "'nonsense'" in complaint
    assert f"which etcd {version} does not know" in complaint
    for value in allowed:
        problem = config_keys.problem(key, as_written(key, value), version)
        assert problem is None, value


@pytest.mark.parametrize(
    "written", [{"Nonsense": True}, "Nonsense=true", "CompactHashCheck=true,Nonsense=false"]
)
def test_a_feature_gate_that_nobody_knows_is_refused(written):
    for version in (V36, V37):
        (complaint,) = check({"feature-gates": written}, version)
        assert "'Nonsense'" in complaint


@pytest.mark.parametrize("gate", ["FastLeaseKeepAlive", "PriorityRequest"])
def test_a_feature_gate_of_another_release_is_refused(gate):
    assert check({"feature-gates": {gate: False}}, V37) == []
    (complaint,) = check({"feature-gates": {gate: False}}, V36)
    assert gate in complaint


@pytest.mark.parametrize(
    ("extra", "version", "right"),
    [
        ({"feature-gates": {"LeaseCheckpointPersist": True}}, V36, False),
        ({"feature-gates": "LeaseCheckpointPersist=true,LeaseCheckpoint=true"}, V36, True),
        ({"feature-gates": {"AllAlpha": True}}, V37, True),
        ({"feature-gates": {"AllAlpha": True, "LeaseCheckpoint": False}}, V37, False),
        ({"experimental-enable-lease-checkpoint-persist": True}, V35, False),
        (
            {
                "experimental-enable-lease-checkpoint-persist": True,
                "experimental-enable-lease-checkpoint": True,
            },
            V35,
            True,
        ),
        ({"tls-min-version": "TLS1.3", "tls-max-version": "TLS1.2"}, V35, False),
        ({"tls-min-version": "TLS1.2", "tls-max-version": ""}, V35, True),
        ({"tls-min-version": "TLS1.3", "cipher-suites": ["TLS_AES_128_GCM_SHA256"]}, V36, False),
        (
            {"auto-compaction-mode": "revision"},
            V36,
            False,
        ),  # our own 8 hours would be 28800000000000 revisions
        ({"auto-compaction-mode": "revision", "auto-compaction-retention": 1000}, V36, True),
        ({"auto-compaction-mode": "periodic", "auto-compaction-retention": "1h30m"}, V36, True),
        ({"auto-compaction-retention": "8 hours"}, V36, False),
        ({"log-outputs": ["default", "/var/log/etcd.log"]}, V36, False),
        ({"enable-log-rotation": True}, V36, False),
        ({"enable-log-rotation": True, "log-outputs": ["/var/log/etcd.log"]}, V36, True),
        ({"log-rotation-config-json": "{maxsize: 1}"}, V36, False),
        ({"auth-token": "jwt,pub-key=/a,priv-key=/b,sign-method=RS256,ttl=10m"}, V36, True),
        ({"auth-token": "jwt,sign-method=RS257"}, V36, False),
        ({"auth-token": "jwt,sign-method=EdDSA"}, V36, True),
        ({"auth-token": "jwt,sign-method=EdDSA"}, V35, False),
        ({"auth-token": "jwt,sign"}, V36, False),
        ({"auth-token": "jvt"}, V36, False),
        ({"socket-options": {"reuse-port": "yes"}}, V36, False),
        ({"bcrypt-cost": 3}, V36, False),
        ({"bcrypt-cost": 4}, V36, True),
        ({"distributed-tracing-sampling-rate": 1000001}, V36, False),
        ({"compact-hash-check-time": "0s"}, V36, False),
        ({"v2-deprecation": "write-only-skip-check"}, parse("3.6.12"), False),
        ({"v2-deprecation": "write-only-skip-check"}, parse("3.6.13"), True),
        ({"v2-deprecation": "write-only-skip-check"}, parse("3.5.31"), False),
        ({"v2-deprecation": "write-only-skip-check"}, parse("3.5.32"), True),
        ({"v2-deprecation": "write-only-drop-data"}, V36, False),
    ],
)
def test_values_with_which_a_release_does_not_start_or_does_what_nobody_means_are_refused(
    extra, version, right
):
    assert (check(extra, version) == []) == right
    if not right:
        assert len(check(extra, version)) == 1


def test_everything_that_is_wrong_is_told_at_once():
    extra = {"name": "x", "prevote": True, "heartbeat-interval": 500, "log-outputs": 1}
    assert len(check(extra, V35)) == 4


@pytest.mark.parametrize(
    ("extra", "complaints"),
    [
        ({}, 0),
        ({"heartbeat-interval": 200}, 0),
        ({"heartbeat-interval": 201}, 1),
        ({"election-timeout": 499}, 1),
        ({"election-timeout": 500}, 0),
        ({"heartbeat-interval": 5000, "election-timeout": 50000}, 0),
        ({"heartbeat-interval": 5000, "election-timeout": 50001}, 1),
        ({"heartbeat-interval": 0}, 1),
    ],
)
def test_timers_follow_the_hard_rules_of_etcd(extra, complaints):
    assert len(check(extra, V35)) == complaints


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ({"election-timeout": 900}, "10 times"),
        ({"quota-backend-bytes": 9 * 1024**3}, "8 GiB"),
        ({"log-level": "debug"}, "fills the log"),
        ({"enable-pprof": True}, "profile"),
    ],
)
def test_unwise_values_are_accepted_with_advice(extra, word):
    assert check(extra, V35) == []
    (advice,) = advise(extra)
    assert word in advice


def test_our_own_defaults_need_no_advice():
    for version in LINES:
        assert check(configuration.defaults(version), version) == []
        assert advise(configuration.defaults(version)) == []


def test_every_replacement_is_a_key_that_some_later_release_reads():
    for entry in TABLE["keys"].values():
        if "replaced_by" in entry and " in " not in entry["replaced_by"]:
            assert entry["replaced_by"].split(":")[0] in TABLE["keys"]


def test_every_renamed_key_says_its_new_name():
    assert all(
        "replaced_by" in entry
        for key, entry in TABLE["keys"].items()
        if key.startswith("experimental-") and key not in RESERVED
    )


def test_raft_snapshots_are_made_often_by_a_count_that_never_rises():
    settings, _ = read_settings("n1", {"etcd_address": "10.0.0.1", "etcd_config": {"snapshot-count": 5000}})
    assert settings is not None
    assert frequent(settings).etcd_config == {"snapshot-count": 25}
    assert settings.etcd_config == {"snapshot-count": 5000}, "what the user set comes back"
    own = settings.model_copy(update={"etcd_config": {"snapshot-count": 5}})
    assert frequent(own).etcd_config == {"snapshot-count": 5}


class Yaml11(yaml.SafeLoader):
    """Reads as YAML 1.1 has it, and Go's reader with it: y and n are truth values, 1e3 is a number."""


Yaml11.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
    list("yYnNtTfFoO"),
)
Yaml11.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)
TRUTHS = (
    "y",
    "Y",
    "n",
    "N",
    "yes",
    "No",
    "on",
    "OFF",
    "true",
    "NULL",
    "null",
    "1e3",
    "0o7",
    "0x1F",
    "1_000",
    "12e4",
)
NAMES = st.one_of(
    st.sampled_from(TRUTHS), st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,6}[A-Za-z0-9])?", fullmatch=True)
)


@given(name=NAMES, token=NAMES)
@example(name="y", token="n")
def test_every_name_that_may_be_set_is_read_back_as_a_text(name, token):
    read = yaml.load(
        render(with_(name=name, token=token, initial_cluster={name: ("https://x:2380",)}), V35), Loader=Yaml11
    )
    assert (read["name"], read["initial-cluster-token"]) == (name, token)
    assert isinstance(read["initial-cluster"], str)


@given(NAMES)
def test_a_pods_manifest_holds_every_name_as_a_text(name):
    told = yaml.dump({"name": name, "list": [name]}, Dumper=configuration.PodDumper)
    if not name[:1].isdigit():
        assert yaml.load(told, Loader=Yaml11) == {"name": name, "list": [name]}
