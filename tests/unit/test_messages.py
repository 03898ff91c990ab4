"""What messages name exists: no sentence sends somebody to a setting or a verb that there is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from etcd_steward.settings import Settings

REPO = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("etcd_steward", "operations", "facts", "deploys", "templates", "inventories")
    for path in (REPO / folder).rglob("*")
    if path.suffix in {".py", ".sh", ".j2"} and not path.is_symlink()
)
# Words that look like settings and are none: this package, groups of examples, and beginnings of names.
OTHERS = {"etcd_steward", "etcd_pi", "etcd_a", "etcd_b", "etcd_flannel", "etcd_flannel_ipv6"}


def words(path: Path) -> set[str]:
    text = path.read_text()
    if path.suffix == ".py":
        tree = ast.parse(text)
        strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        text = "\n".join(value for value in strings if isinstance(value, str))
    return set(re.findall(r"(?<![A-Za-z0-9_/.-])etcd_[a-z0-9_]*[a-z0-9](?![A-Za-z0-9_]|\.(?!\s|$))", text))


def test_sources_are_found() -> None:
    assert len(SOURCES) > 100
    assert any("etcd_version" in words(path) for path in SOURCES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPO)))
def test_every_setting_that_a_text_names_exists(path: Path) -> None:
    assert words(path) - set(Settings.model_fields) - OTHERS == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPO)))
def test_every_deploy_that_a_text_names_exists(path: Path) -> None:
    named = set(re.findall(r"(?<!etcd_steward/)\bdeploys/([a-z0-9_]+\.py)", path.read_text()))
    assert {name for name in named if not (REPO / "deploys" / name).is_file()} == set()
