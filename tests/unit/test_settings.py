"""What can be set, what is refused, and in which words."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etcd_steward import combinations
from etcd_steward.combinations import ROOTS
from etcd_steward.errors import Complaint, complaints_text, shown
from etcd_steward.settings import CERTIFICATE_FILES, HOST_KEYS, Settings, read_settings
from etcd_steward.versions import DEFAULT, NEWEST

SENTENCE = re.compile(r"n1: found .+, wanted .+; next: .+")


def told(**data):
    """Give the complaints about some settings; each must have the form that all of them have."""
    _, complaints = read_settings("n1", data)
    texts = list(map(str, complaints))
    assert all(SENTENCE.fullmatch(text) for text in texts), texts
    return texts


def one(**data):
    (text,) = told(**data)
    return text


def accepted(**data):
    settings, complaints = read_settings("n1", data)
    assert complaints == []
    return settings


def test_nothing_has_to_be_set():
    assert accepted() == Settings()


def test_keys_of_others_are_passed_over():
    assert accepted(ssh_user="pi", _sudo=True, k3s_version=1) == Settings()


@pytest.mark.parametrize(
    ("key", "meant"),
    [("etcd_adress", "etcd_address"), ("etcd_versoin", "etcd_version"), ("etcd_datadir", "etcd_data_dir")],
)
def test_an_unknown_key_is_refused_and_the_near_one_named(key, meant):
    assert (
        one(**{key: "x"})
        == f"n1: found an unknown setting {key}, wanted a setting that exists; next: write {meant}"
    )


def test_an_unknown_key_like_no_other_points_to_the_list():
    assert one(etcd_zzzzzzzzzzzz=1).endswith("next: see docs/settings.md for the keys that there are")


def test_every_key_has_a_sentence_and_a_default_that_is_right_in_itself():
    for key, field in Settings.model_fields.items():
        assert key.startswith("etcd_")
        assert field.description
        assert field.description.endswith(".")
        if field.default is not None:
            accepted(**{key: field.default})


# Authorities need each other beside them, and a digest cannot be shown in full.
@pytest.mark.parametrize(
    "key",
    sorted(
        set(Settings.model_fields)
        - {
            "etcd_ca_cert",
            "etcd_ca_key",
            "etcd_peer_ca_cert",
            "etcd_peer_ca_key",
            "etcd_sha256",
            "etcd_k3s_sha256",
            "etcd_kubelet_sha256",
            "etcd_crio_sha256",
        }
    ),
)
def test_every_example_is_accepted(key):
    for written in Settings.model_fields[key].examples:
        accepted(**{key: written})


def test_the_keys_that_may_differ_between_hosts_exist():
    assert set(Settings.model_fields) >= HOST_KEYS


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            {"etcd_version": 3.6},
            f"n1: found etcd_version = 3.6, wanted a full version such as {NEWEST['3.6']}; next: set etcd_version to a value such as '3.5.30'",
        ),
        (
            {"etcd_version": "3.5"},
            f"n1: found etcd_version = '3.5', wanted a full version such as {NEWEST['3.5']}; next: set etcd_version to a value such as '3.5.30'",
        ),
        (
            {"etcd_client_port": "abc"},
            "n1: found etcd_client_port = 'abc', wanted a valid integer; next: set etcd_client_port to a value such as 2379",
        ),
        (
            {"etcd_data_dir": "data"},
            "n1: found etcd_data_dir = 'data', wanted an absolute path of letters, digits and . _ @ + -, without ..; next: set etcd_data_dir to a value such as '/srv/etcd'",
        ),
        (
            {"etcd_output": "xml"},
            "n1: found etcd_output = 'xml', wanted 'table' or 'json'; next: set etcd_output to a value such as 'json'",
        ),
        (
            {"etcd_extra_names": ["a.example.org", "b c"]},
            "n1: found etcd_extra_names.1 = 'b c', wanted an IP address without brackets or port, or a DNS name, which may begin with *. for any one label; next: set etcd_extra_names to a value such as ['etcd.example.org']",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_was_found_what_is_wanted_and_an_example(data, text):
    assert one(**data) == text


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("etcd_version", [3.5, 3, "3.5.x", "latest", None, True, "3.5.30-rc.0"]),
        ("etcd_name", [12, "", "a b", "-a", "a" * 65, "n1;reboot", "n1\n"]),
        ("etcd_address", ["10.0.0.1:2379", "[::1]", "https://a", "a b", "", 7, "fe80::1%eth0", "300.0.0.1"]),
        ("etcd_listen_address", ["n1.example.org", "", "10.0.0", "fe80::1%eth0"]),
        ("etcd_client_port", [0, -1, 65536, 23.5, "x", None, [2379], True and "yes"]),
        ("etcd_uid", [0, -5, 65534, "root"]),
        ("etcd_ca_days", [0, -1, 36501, 1.5, "ten"]),
        (
            "etcd_cert_dir",
            ["pki", "../pki", "/etc/../pki", "/", "", "/etc/a b", "~/pki", "/etc/$(id)", "/etc/x\n", 7],
        ),
        ("etcd_config_file", ["a/b", "..", ".", "", "a b"]),
        ("etcd_user", ["Etcd", "0etcd", "", "a" * 32, "etcd:root"]),
        ("etcd_subject", [{"X": "y"}, {"C": ""}, {"C": "a\nb"}, "C=CN", ["C"]]),
        ("etcd_cert_files", [{"peer": "a/b"}, {"other": "x"}, {"peer": 7}, "x"]),
        ("etcd_config", [[1], "x", {1: 2}]),
        (
            "etcd_mirror",
            ["ftp://a", "mirror.example.org", "/srv", "https://", "https://a b", "http:///x", ""],
        ),
        (
            "etcd_sha256",
            [
                *(
                    "abc",
                    "g" * 64,
                    "0" * 63,
                    "0" * 65,
                    {"amd64": "abc"},
                    {"mips": "0" * 64},
                    7,
                    {"arm64": None},
                ),
                *(
                    {"3.6": {"amd64": "0" * 64}},
                    {"3.6.16": {"mips": "0" * 64}},
                    {"3.6.16": {}, "amd64": "0" * 64},
                ),
            ],
        ),
        ("etcd_require_digest", ["perhaps", 2]),
        ("etcd_digests", ["any", 1]),
        ("etcd_forget_cluster", ["xyz", "", "0" * 17, 12e4, "CDF8"]),
        ("etcd_timeout", [4, 3601, "soon"]),
        ("etcd_max_skew", [0, -1, 61, "nan", float("nan"), float("inf")]),
        ("etcd_time_servers", ["ntp.example.org", ["a b"], [7]]),
        ("etcd_timezone", ["Asia//Shanghai", "../etc/shadow", "", "a b", "/etc/localtime"]),
        ("etcd_allow_even", ["maybe", 7, []]),
        ("etcd_pki_dir", ["", "a\nb", "a\0b", 7]),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_in_one_sentence(key, values):
    for value in values:
        assert one(**{key: value}).startswith(f"n1: found {key}")


@pytest.mark.parametrize("key", ["etcd_data_dir", "etcd_wal_dir"])
@pytest.mark.parametrize(
    "path",
    [*("/etc", "/var", "/var/lib", "/usr/local/bin", "/home", "/root", "/srv/", "//etc", "/tmp", "/mnt/."), *("/tmp/etcd", "/run/etcd", "/dev/shm/etcd", "/var/run/etcd")],
)  # fmt: skip
def test_a_data_folder_that_is_the_systems_or_lost_at_boot_is_refused(key, path):
    assert "wanted a folder of etcd's own, on a disk that outlives a reboot" in one(**{key: path})


@pytest.mark.parametrize(
    "path", ["/data", "/var/lib/etcd", "/srv/etcd", "/mnt/ssd", "/opt/etcd-3.4/data", "/home/pi/etcd"]
)
def test_a_data_folder_of_its_own_is_accepted_wherever_it_is(path):
    assert accepted(etcd_data_dir=path).etcd_data_dir == path


@pytest.mark.parametrize("other", ["etcd_cert_dir", "etcd_config_dir", "etcd_prefix", "etcd_bin_dir"])
def test_data_shares_its_folder_with_nothing(other):
    text = one(**{other: "/srv/etcd", "etcd_data_dir": "/srv/etcd"})
    assert f"found etcd_data_dir and {other} both /srv/etcd" in text


@pytest.mark.parametrize("wal", ["/srv/etcd", "/srv/etcd/member", "/srv/etcd/member/wal"])
def test_the_log_has_a_folder_of_its_own_or_none(wal):
    assert "wanted a folder outside the data folder's own" in one(etcd_data_dir="/srv/etcd", etcd_wal_dir=wal)


def test_paths_are_written_one_way():
    assert accepted(etcd_data_dir="/srv//etcd/").etcd_data_dir == "/srv/etcd"
    assert accepted(etcd_cert_dir="//srv/./pki").etcd_cert_dir == "/srv/pki"


@pytest.mark.parametrize(("days", "renew"), [(60, 60), (30, 60), (730, 730), (1, 36500)])
def test_certificates_that_would_be_made_anew_in_every_run_are_refused(days, renew):
    assert one(etcd_certificate_days=days, etcd_renew_days=renew).startswith(
        f"n1: found etcd_renew_days {renew} and etcd_certificate_days {days}, wanted "
    )


def test_certificates_may_be_renewed_on_their_first_day():
    accepted(etcd_certificate_days=61, etcd_renew_days=60)


@pytest.mark.parametrize("key", ["etcd_ca_cert", "etcd_peer_ca_cert"])
def test_an_own_authority_for_only_one_side_is_refused(key):
    assert one(**{key: "ca.pem"}).endswith(
        "next: set both etcd_ca_cert and etcd_peer_ca_cert, to two authorities"
    )


@pytest.mark.parametrize("key", ["etcd_ca", "etcd_peer_ca"])
def test_the_key_of_an_own_authority_needs_its_certificate(key):
    assert one(**{f"{key}_key": "key.pem"}).startswith(f"n1: found {key}_key without {key}_cert, wanted both")


def test_own_authorities_are_accepted_with_their_keys_and_without():
    both = {"etcd_ca_cert": "ca.pem", "etcd_peer_ca_cert": "peer-ca.pem"}
    accepted(**both)
    accepted(**both, etcd_ca_key="ca-key.pem", etcd_peer_ca_key="peer-ca-key.pem")


def test_digests_are_accepted_for_all_machines_or_for_each():
    accepted(etcd_sha256="0aF" + "1" * 61)
    accepted(etcd_sha256={"amd64": "0" * 64, "arm64": "f" * 64})
    accepted(etcd_sha256={"v3.5.34": {"amd64": "0" * 64}, "3.6.16": "f" * 64})


def test_one_port_cannot_serve_clients_and_members():
    assert "found port 2380 twice" in one(etcd_client_port=2380)


@pytest.mark.parametrize(
    ("data", "setting"),
    [
        ({"etcd_version": str(NEWEST["3.6"])}, "etcd_sha256"),
        ({"etcd_runtime": "static_pod", "etcd_kubelet_version": "v1.36.3"}, "etcd_kubelet_sha256"),
        (
            {
                "etcd_runtime": "static_pod",
                "etcd_container_runtime": "crio",
                "etcd_crio_version": "v1.36.3",
            },
            "etcd_crio_sha256",
        ),
        ({"etcd_k3s_version": "v1.34.2+k3s1"}, "etcd_k3s_sha256"),
        ({"etcd_flannel_network": "172.30.0.0/16"}, "etcd_flannel_sha256"),
        (
            {"etcd_kubernetes_release": "v1.36.3", "etcd_kubernetes_install": "binaries"},
            "etcd_kubernetes_sha256",
        ),
    ],
)
def test_a_download_without_a_digest_known_beforehand_is_refused_where_one_is_required(data, setting):
    plain = accepted(**data)
    digest = {"amd64": "0" * 64, "arm64": "1" * 64}
    given = (
        digest
        if setting != "etcd_kubernetes_sha256"
        else dict.fromkeys(combinations.KUBERNETES_TOOLS, digest)
    )
    text = one(**data, etcd_require_digest=True)
    assert setting in text
    assert "as etcd_require_digest is set" in text
    assert not plain.etcd_require_digest
    accepted(**data, etcd_require_digest=True, **{setting: given})


def test_a_digest_cannot_be_required_and_be_the_mirrors():
    assert "etcd_digests 'mirror'" in one(etcd_require_digest=True, etcd_digests="mirror")


def test_two_certificates_cannot_have_one_file():
    assert one(etcd_cert_files={"server": "{name}.pem", "peer": "{name}.pem"}) == (
        "n1: found /etc/etcd/pki/member.pem named twice in etcd_cert_files, wanted a file for each; next: correct etcd_cert_files"
    )


def test_f27_a_release_that_may_lose_data_is_refused_unless_insisted_on():
    assert one(etcd_version="3.5.1") == (
        "n1: found etcd_version 3.5.1 (data of members may come to differ after a crash; etcd#13766), wanted 3.5.6 or later; "
        f"next: set etcd_version to {DEFAULT}, or insist with etcd_force_version = True"
    )
    accepted(etcd_version="3.5.1", etcd_force_version=True)


@pytest.mark.parametrize("version", ["3.3.27", "3.8.0", "2.3.8", "4.0.0"])
def test_a_release_that_cannot_be_configured_is_refused_whatever_is_insisted_on(version):
    text = one(etcd_version=version, etcd_force_version=True)
    assert text.startswith(f"n1: found etcd_version {version} (")
    assert "insist" not in text


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({"heartbeat-intervall": 100}, "heartbeat-intervall is no key of etcd's configuration file (did you mean heartbeat-interval?)"),
        ({"data-dir": "/srv"}, "data-dir is not yours to set (set etcd_data_dir)"),
        ({"heartbeat-interval": "fast"}, "heartbeat-interval is 'fast', which should be a whole number"),
        ({"grpc-keepalive-interval": "9" * 400 + "h"}, "which should be a duration such as 5m"),
        ({"snapshot-count": 10**5000}, "snapshot-count is a huge int, which should be a whole number"),
        ({"heartbeat-interval": 500, "election-timeout": 600}, "election-timeout is 600 ms"),
    ],
)  # fmt: skip
def test_f33_keys_that_etcd_would_ignore_or_choke_on_are_refused(config, part):
    text = one(etcd_config=config)
    assert text.startswith("n1: found etcd_config: ")
    assert part in text


def test_everything_that_is_wrong_is_told_at_once():
    texts = told(etcd_adress="x", etcd_version="3.5", etcd_client_port=0, etcd_subject={"C": "", "X": "y"})
    assert len(texts) == 5


def test_a_long_value_is_cut_off_and_stays_in_its_line():
    assert len(shown("x" * 1000)) == 80
    assert shown("a\nb\x1b[31m") == "'a\\nb\\x1b[31m'"
    assert shown(10**5000) == "a huge int"


def test_files_have_the_usual_names_unless_others_are_set():
    settings = accepted(etcd_cert_dir="/opt/ssl", etcd_cert_files={"peer": "{name}-peer.crt"})
    assert settings.certificate_path("peer", "n1") == "/opt/ssl/n1-peer.crt"
    assert settings.certificate_path("server", "n1") == "/opt/ssl/server.pem"
    assert settings.config_path == "/etc/etcd/conf.yml"


def test_every_certificate_has_a_key_beside_it():
    roles = {kind for kind in CERTIFICATE_FILES if f"{kind}_key" in CERTIFICATE_FILES}
    assert roles == {"server", "peer", "client", "health"}


def test_all_complaints_come_in_one_text_that_says_that_nothing_was_changed():
    same = Complaint("n1", "a", "b", "c")
    assert complaints_text([same, same, Complaint("n2", "d", "e", "f")]) == (
        "refused, no host was changed:\n    n1: found a, wanted b; next: c\n    n2: found d, wanted e; next: f"
    )


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@example({"etcd_config": {"\n": None}})
@example({"etcd_subject": {"\n": None}})
@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), ANYTHING, max_size=4))
def test_any_values_are_accepted_or_refused_in_sentences_and_never_an_error(data):
    settings, complaints = read_settings("n1", data)
    assert settings is not None or complaints
    assert all(SENTENCE.fullmatch(str(complaint)) for complaint in complaints), complaints


@given(st.text(max_size=30), ANYTHING)
def test_any_key_that_begins_like_ours_is_known_or_refused_in_a_sentence(rest, value):
    _, complaints = read_settings("n1", {f"etcd_{rest}": value})
    assert all(SENTENCE.fullmatch(str(complaint)) for complaint in complaints)
    assert complaints or f"etcd_{rest}" in Settings.model_fields


@pytest.mark.parametrize(
    "value", ["00ab818194e3a8c3", "ab818194e3a8c3", "0x00ab818194e3a8c3"], ids=["full", "short", "prefixed"]
)
def test_a_clusters_id_is_read_as_etcd_and_its_tools_write_it(value):
    assert accepted(etcd_reset=value).etcd_reset == "00ab818194e3a8c3"


def test_an_id_of_digits_alone_is_read_though_pyinfra_makes_a_number_of_it():
    assert accepted(etcd_reset=12818194103802).etcd_reset == "0012818194103802"
    assert accepted(etcd_member=12818194103802).etcd_member == "12818194103802"


@pytest.mark.parametrize("key", ["etcd_move_aside", "etcd_restore_without"])
def test_a_list_of_names_may_be_typed_with_commas_as_data_on_the_command_line_knows_no_lists(key):
    for written in ("n2,n3", ["n2", "n3"]):
        settings, wrong = read_settings("h", {key: written})
        assert (getattr(settings, key), wrong) == (["n2", "n3"], [])


ACCOUNTS = st.sampled_from(["etcd_data_dir", "etcd_wal_dir"])
FOLDERS = st.sampled_from(ROOTS)
PARTS = st.lists(st.sampled_from(["a", "b-1", "member", "3.5.30", "wal", "x.y"]), max_size=3)


@given(ACCOUNTS, FOLDERS, PARTS, PARTS, st.booleans())
def test_d15_nothing_of_roots_lies_in_the_folder_of_etcds_account_nor_the_reverse(
    own, other, base, more, inside
):
    outer = "/".join(["/srv/etcd", *base])
    inner = "/".join([outer, *more])
    mine, theirs = (outer, inner) if inside else (inner, outer)
    said = told(**{own: mine, other: theirs})
    assert any(f"next: change {own} or {other}" in text for text in said)


@pytest.mark.parametrize("key", ROOTS)
@pytest.mark.parametrize("path", ["/tmp/etcd", "/var/tmp/x/y", "/run/etcd", "/dev/shm/x", "/var/run/etcd"])
def test_d15_no_folder_of_roots_lies_where_others_make_names_or_a_reboot_takes_it(key, path):
    assert any(
        f"found {key} {path}" in text or f"found {key} = {path!r}" in text for text in told(**{key: path})
    )


@pytest.mark.parametrize(
    "path", ["/etc/ssh", "/usr/lib/etcd", "/boot/etcd", "/var/log/etcd", "/var/tmp/etcd", "/etc/etcd"]
)
@pytest.mark.parametrize("key", ["etcd_data_dir", "etcd_wal_dir", "etcd_snapshot_dir"])
def test_d15_no_data_lies_among_the_systems_files(key, path):
    assert any(
        "a folder of etcd's own, on a disk that outlives a reboot" in text for text in told(**{key: path})
    )


@pytest.mark.parametrize("key", ["etcd_cert_dir", "etcd_client_dir", "etcd_config_dir", "etcd_prefix"])
@pytest.mark.parametrize("path", ["/etc", "/opt", "/root", "/usr/local/bin", "/var/lib"])
def test_d15_a_folder_of_the_systems_is_not_given_another_mode(key, path):
    assert any(
        f"found {key} {path}, wanted a folder of its own below it" in text for text in told(**{key: path})
    )


def test_nothing_but_snapshots_lies_in_their_folder():
    assert "snapshots alone there" in one(etcd_snapshot_dir="/srv/keep", etcd_cert_dir="/srv/keep/pki")
