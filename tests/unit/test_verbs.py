"""What is promised about the sequence of operations of every verb."""

import ast
from pathlib import Path

import pytest

import etcd_steward

SOURCES = sorted((Path(etcd_steward.__file__).parent / "verbs").glob("*.py"))


def loops(tree):
    """Find the loops whose body calls an operation: each of them has a name for people."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.For | ast.While):
            continue
        calls = [one for part in node.body for one in ast.walk(part) if isinstance(one, ast.Call)]
        named = any(word.arg == "name" for call in calls for word in call.keywords)
        helped = any(isinstance(call.func, ast.Name) and call.func.id.startswith("_") for call in calls)
        if named or helped:
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_loop_around_operations_tells_pyinfra_its_position(path):
    # pyinfra names an operation by its lines of source and the positions in host.loop: without one, a second pass has the
    # names of the first, and hosts in another order make a cycle.
    for node in loops(ast.parse(path.read_text())):
        assert isinstance(node, ast.For), f"{path.name}:{node.lineno}"
        asked = node.iter
        assert isinstance(asked, ast.Call), f"{path.name}:{node.lineno}"
        assert ast.unparse(asked.func) == "host.loop", f"{path.name}:{node.lineno}"
