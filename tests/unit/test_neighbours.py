"""Files of others that decide next to ours: their keys are told and judged, their values never, and unknown is not nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etcd_steward.neighbours import (
    Neighbour,
    k3s_option,
    keys_of_flags,
    named,
    overriding,
    read,
    sorted_before,
)
from etcd_steward.shell import script

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = [words for words in (["dash"], ["bash", "--posix"], ["busybox", "ash"]) if shutil.which(words[0])]


def told(
    form: str, *files: object, words: list[str] | None = None, before: str = ""
) -> tuple[str, tuple[Neighbour, ...]]:
    asked = script("service.sh", "neighbours.sh", beside_as=before) + ""
    done = subprocess.run(
        [*(words or ["sh"]), "-c", f'{asked}\nbeside "$@"', "look", form, *map(str, files)],
        capture_output=True,
        check=False,
        timeout=20,
        env={"PATH": os.environ["PATH"]},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(errors="replace")
    assert all(line.startswith(f"{before}beside ") for line in text.splitlines())
    return text, read(line.removeprefix(f"{before}beside ") for line in text.splitlines())


def keys(form: str, folder: Path, content: str | bytes, **more: object) -> tuple[str, ...] | None:
    """Give the keys that are told of a content; None where it counts as unknown."""
    file = folder / "one"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    _, (one,) = told(form, file, **more)  # type: ignore[arg-type]
    return one.keys if one.known else None


FORMS = [
    ("yaml", "datastore-endpoint: https://a\n# token: x\ntls-san:\n- a\n  - b\n", ("datastore-endpoint", "tls-san")),
    ("yaml", 'token+: "x"\r\n"server": y\r\n\'node-ip\' : z\r\n', ("node-ip", "server", "token+")),
    ("yaml", "---\n# a\ndisable:\n  - token: x\nmore: |\n  token: x\n...\n", ("disable", "more")),
    ("yaml", "\ufefftoken: x\n", ("token",)),
    ("yaml", '# a\n{"token": "x", "node-label": [{"server": 1}]}\n', ("node-label", "token")),
    ("yaml", "", ()),
    ("yaml", "# only this\n\n", ()),
    ("yaml", "  token: x\n", None),
    ("yaml", "{token: x}\n", None),
    ("yaml", "? token\n: x\n", None),
    ("yaml", "<<: *a\n", None),
    ("yaml", '"\\u0074oken": x\n', None),
    ("yaml", "tls-san: [a,\nb]\n", None),
    ("yaml", "token\n", None),
    ("json", '{"bip": "10.0.0.1/24", "a": {"mtu": 1}, "b": [{"hosts": 2}], "c": true, "d": -1.5e3}', ("a", "b", "bip", "c", "d")),
    ("json", '{\n\t"mtu": 1400\n}\n', ("mtu",)),
    ("json", '{"a": "}{\\"mtu\\": \\\\", "hosts": []}', ("a", "hosts")),
    ("json", "{}", ()),
    ("json", "\n", ()),
    ("json", '{"bip": "x",}', None),
    ("json", '{"bip": "x" "mtu": 1}', None),
    ("json", "{'bip': 1}", None),
    ("json", '{"bip": 1 // a\n}', None),
    ("json", '{"bip": [1}', None),
    ("json", '{"bip": 1', None),
    ("json", '{"bip": 1}}', None),
    ("json", '["bip"]', None),
    ("json", '{"b\\u0069p": 1}', None),
    (
        "toml",
        'root = "/x"\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "a=b"\n[[x]]\na.b = 1\n',
        ('plugins."io.containerd.grpc.v1.cri".registry.config_path', "root", "x.a.b"),
    ),
    ("environment", "# K3S_TOKEN=a\nK3S_URL=https://a\nexport K3S_TOKEN='b'\nPATH=/bin\n", ("K3S_TOKEN", "K3S_URL")),
    (
        "unit",
        '[Service]\nEnvironment="K3S_TOKEN=a b" K3S_URL=c\nNotifyAccess=all\nExecStart=\nExecStart=/k3s server \\\n --token x\nX=--y\n',
        ("--token", "K3S_TOKEN", "K3S_URL"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize(("form", "content", "wanted"), FORMS)
def test_the_keys_of_a_file_are_told_or_that_they_are_unknown(
    tmp_path: Path, words: list[str], form: str, content: str, wanted: tuple[str, ...] | None
) -> None:
    assert keys(form, tmp_path, content, words=words) == wanted


_NAMES = st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True)
_VALUES = st.recursive(
    st.text(max_size=8) | st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_NAMES, _VALUES, max_size=4), st.sampled_from([None, 2]), st.booleans())
def test_of_any_json_all_keys_of_the_outermost_object_are_told(
    tmp_path: Path, value: dict[str, object], indent: int | None, ascii_: bool
) -> None:
    assert keys("json", tmp_path, json.dumps(value, indent=indent, ensure_ascii=ascii_)) == tuple(
        sorted(value)
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_NAMES, _VALUES, max_size=4), st.booleans())
def test_of_any_yaml_either_all_keys_are_told_or_that_they_are_unknown(
    tmp_path: Path, value: dict[str, object], flow: bool
) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow)
    found = keys("yaml", tmp_path, text)
    assert found is None or found == tuple(sorted(value))
    # What people write has its keys on lines of their own; keys such as `on` are quoted there.
    assert found is not None or flow or any(len(key) > 100 for key in value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["yaml", "json", "toml", "environment", "unit"]),
    st.binary(max_size=200) | st.text("{}[]\",:=#'\\ \nabK3S_-", max_size=60).map(str.encode),
)
def test_whatever_a_file_holds_it_begins_no_line_of_its_own(
    tmp_path: Path, form: str, content: bytes
) -> None:
    (tmp_path / "one").write_bytes(content)
    _, (one,) = told(form, tmp_path / "one", before="node ")
    assert one.path == str(tmp_path / "one")
    assert all(len(key) <= 200 and key.isprintable() for key in one.keys)


def test_values_stay_on_the_host(tmp_path: Path) -> None:
    secret = "S3CRET"
    for number, (form, content) in enumerate(
        [
            ("yaml", f"token: {secret}\nmore: |\n  {secret}: x\nnode-label:\n- {secret}=1\n"),
            ("json", f'{{"proxies": {{"http-proxy": "http://a:{secret}@b", "{secret}": 1}}}}'),
            ("toml", f'[a]\npassword = "{secret}"\nlist = [\n  "{secret}",\n]\n'),
            ("environment", f"K3S_TOKEN={secret}\nPASSWORD={secret}\n"),
            (
                "unit",
                f"[Service]\nEnvironment=K3S_TOKEN={secret}\nExecStart=/k3s --token={secret} --server {secret}\n",
            ),
        ]
    ):
        (tmp_path / str(number)).write_text(content)
        text, found = told(form, tmp_path / str(number))
        assert found[0].keys
        assert secret not in text


def test_what_is_no_readable_file_is_unknown_and_nothing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("# a\n" * 20_000)
    (tmp_path / "many").write_text("".join(f"key-{number}: 1\n" for number in range(300)))
    files = [tmp_path / name for name in ("folder", "link", "pipe", "large", "many", "nothing")]
    text, found = told("yaml", *files)
    assert [(one.path, one.known) for one in found] == [(str(file), False) for file in files[:-1]]
    assert len(text) < 40_000


def test_more_files_than_anybody_has_are_told_as_unknown(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"{number}.yaml").write_text("")
    _, found = told("yaml", *sorted(tmp_path.iterdir()))
    assert len(found) == 101
    assert not found[-1].known


def test_a_line_that_fits_nothing_stands_for_a_file_that_is_not_known() -> None:
    assert read(["file /a", "key token /a b", "what"]) == (
        Neighbour("/a"), Neighbour("/a b", ("token",)), Neighbour("a file", known=False)
    )  # fmt: skip


@pytest.mark.parametrize(
    "key", ["token", "token+", "t", "--token", "K3S_TOKEN", "K3S_CLUSTER_SECRET", "cluster-secret"]
)
def test_a_key_of_ours_is_known_in_every_form(key: str) -> None:
    one = Neighbour("/a", ("more", key))
    assert overriding([one, Neighbour("/b", ("tokens",))], {"token"}, k3s_option) == [(one, (key,))]


def test_keys_that_are_given_as_flags_are_those_that_dockerd_refuses_twice() -> None:
    assert keys_of_flags("/usr/bin/dockerd -H fd:// --data-root=/x --insecure-registry a -D $OPTS") == {
        "hosts", "data-root", "insecure-registries", "debug"
    }  # fmt: skip
    assert keys_of_flags("") == set()


def test_the_first_file_by_name_counts_as_programs_sort_them() -> None:
    files = [
        f"/d/{name}"
        for name in ("10-containerd-net.conflist", "100-crio.conf", "05-a.conf", "10-flannel.conflist")
    ]
    assert sorted_before(files, "/d/10-flannel.conflist") == ["/d/05-a.conf", "/d/10-containerd-net.conflist"]


def test_many_keys_are_named_in_a_short_sentence() -> None:
    assert named(["a", "b"]) == "a, b"
    assert named([str(number) for number in range(9)]) == "0, 1, 2, 3, 4, 5 and 3 more"
