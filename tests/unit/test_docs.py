"""The documentation names what exists, and its generated page is up to date."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from etcd_steward import release_page
from etcd_steward.docs import settings_page
from etcd_steward.settings import HOST_KEYS, Settings, read_settings
from etcd_steward.topology import select_clusters
from tests import hops

REPO = Path(__file__).resolve().parents[2]
PAGES = sorted([*(REPO / "docs").glob("*.md"), REPO / "README.md", REPO / "CHANGELOG.md"])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

# Words that look like settings and are none.
OTHERS = {"etcd_steward", "etcd_a", "etcd_b", "etcd_pi", "etcd_tiemout"}


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    found = (REPO / "docs/settings.md").read_text()
    assert found == settings_page(), "next: .venv/bin/python -m etcd_steward.docs >docs/settings.md"


def test_the_page_of_releases_is_what_the_tables_say_down_to_the_measured_hops(tmp_path: Path) -> None:
    found = (REPO / "docs/releases.md").read_text()
    told, heading, _ = found.partition(release_page.HOPS)
    assert heading == f"{hops.HEADING}\n"
    assert told == release_page.head(), "next: .venv/bin/python -m etcd_steward.release_page docs/releases.md"
    page = tmp_path / "releases.md"
    page.write_text(f"old\n{release_page.HOPS}\nmeasured\n")
    release_page.put(page)
    assert page.read_text() == f"{release_page.head()}{release_page.HOPS}\nmeasured\n"


def test_what_the_suite_measures_goes_into_the_page_of_releases_beside_the_tables(tmp_path: Path) -> None:
    page = tmp_path / "releases.md"
    page.write_text((REPO / "docs/releases.md").read_text())
    hops.write(page, [hops.Hop("3.5.34", "3.6.16", "whole", "three", 900, 40, 0, 400)])
    assert page.read_text().startswith(release_page.head().rstrip())
    assert page.read_text().count(hops.HEADING) == 1


@pytest.mark.parametrize("key", Settings.model_fields)
def test_the_page_tells_each_key_once_and_whether_it_is_the_hosts_or_the_clusters(key: str) -> None:
    page = (REPO / "docs/settings.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith(f"| `{key}` |")]
    assert len(rows) == 1
    assert rows[0].endswith("| host |" if key in HOST_KEYS else "| cluster |")


@pytest.mark.parametrize("key", Settings.model_fields)
def test_the_example_of_a_key_is_a_value_that_is_accepted(key: str) -> None:
    for example in Settings.model_fields[key].examples or []:
        if "…" in str(example):
            continue
        _, complaints = read_settings("n1", {key: example})
        about = [complaint for complaint in complaints if complaint.found.startswith(f"{key} =")]
        assert not about, str(about[0])


@each_page
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"\betcd_[a-z0-9_]+\b", page.read_text())) - OTHERS
    assert sorted(named - set(Settings.model_fields)) == []


@each_page
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_names_every_verb_and_every_script() -> None:
    text = (REPO / "README.md").read_text()
    verbs = {f"deploys/{path.name}" for path in (REPO / "deploys").glob("*.py")}
    scripts = {f"scripts/{path.name}" for path in (REPO / "scripts").iterdir() if path.name[0] != "_"}
    assert sorted(name for name in verbs | scripts if name not in text) == []


def command_lines(page: Path) -> list[list[str]]:
    blocks = re.findall(r"^ *```\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0] for block in blocks for line in block.splitlines()]
    return [line.split() for line in lines if "pyinfra " in line and "inventories/" in line]


@each_page
def test_a_command_in_the_text_names_inventories_deploys_and_hosts_that_there_are(page: Path) -> None:
    (example,) = python_blocks(REPO / "README.md")
    for words in command_lines(page):
        path = next(word for word in words if word.startswith("inventories/"))
        text = example if path == "inventories/mine.py" else (REPO / path).read_text()
        for word, value in itertools.pairwise([*words, ""]):
            if word.startswith("deploys/"):
                assert (REPO / word).exists()
            if word in {"--limit", "--exclude"}:
                assert f'"{value}"' in text, f"{value} is not in {path}"


def python_blocks(page: Path) -> list[str]:
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [
        "\n".join(line.removeprefix(indent) for line in block.splitlines()) + "\n" for indent, block in blocks
    ]


def inventory(text: str, folder: Path) -> dict[str, tuple[dict, list[str]]]:
    (folder / "inventory.py").write_text(text)
    command = [sys.executable, "-m", "pyinfra", "inventory.py", "debug-inventory", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {host["name"]: (host["data"], host["groups"]) for host in json.loads(done.stdout)}


@pytest.mark.parametrize(
    ("page", "clusters"), [("README.md", {"mine": 3}), ("docs/settings.md", {"a": 3, "b": 3})]
)
def test_an_inventory_in_the_text_makes_the_clusters_that_it_promises(
    page: str, clusters: dict[str, int], tmp_path: Path
) -> None:
    (block,) = python_blocks(REPO / page)
    hosts = inventory(block, tmp_path)
    settings = {}
    groups: dict[str, list[str]] = {}
    for name, (data, own_groups) in hosts.items():
        settings[name], complaints = read_settings(name, data)
        assert not complaints
        for group in dict.fromkeys(own_groups):
            groups.setdefault(group, []).append(name)
    chosen, complaints = select_clusters(settings, groups)
    assert not complaints
    assert {cluster: len(members) for cluster, members in chosen.items()} == clusters


STORY = re.compile(r"\| (F\d+b?) \| [^|]+ \| ([^|]+) \| (pure|engine|target|none) \|")
FOLDERS = {"pure": "tests/unit", "engine": "tests/engine", "target": "tests/e2e"}


def stories() -> list[tuple[str, str, str]]:
    lines = (REPO / "docs/failures.md").read_text().splitlines()
    found = [STORY.fullmatch(line) for line in lines if line.startswith("| F")]
    assert all(found), "a line of the table is no row"
    return [(one[1], one[2], one[3]) for one in found if one]


def test_every_failure_story_is_in_the_table() -> None:
    assert {story for story, _, _ in stories()} == {*(f"F{number}" for number in range(1, 51)), "F20b"}


@pytest.mark.parametrize(("story", "told", "kind"), stories(), ids=lambda value: value.rpartition("::")[2])
def test_the_test_of_a_failure_story_exists_and_is_of_its_kind(story: str, told: str, kind: str) -> None:
    if kind == "none":
        assert len(told.split()) > 5, "a reason in words"
        return
    path, _, name = told.strip("`").partition("::")
    assert path.startswith(f"{FOLDERS[kind]}/test_")
    assert re.search(rf"^def {name}\(", (REPO / path).read_text(), re.MULTILINE)


def test_a_failure_story_has_one_test_at_least_whose_name_carries_its_number() -> None:
    tested = {story for story, _, kind in stories() if kind != "none"}
    numbered = {
        story for story, told, _ in stories() if f"_f{story[1:].zfill(2 + story.endswith('b'))}_" in told
    }
    assert tested == numbered
