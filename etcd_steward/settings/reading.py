"""Reading settings out of inventory data, with a sentence for everything that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from etcd_steward.errors import Complaint, shown
from etcd_steward.settings.model import Settings

__all__ = ["read_settings"]


def read_settings(host: str, data: Mapping[str, Any]) -> tuple[Settings | None, list[Complaint]]:
    """Read one host's settings, collecting everything that is wrong with them.

    Args:
        host: the host's inventory name.
        data: the host's data; keys that do not begin with `etcd_` belong to somebody else and are passed over.

    Returns:
        The settings, or None where they could not be read, and the complaints.
    """
    mine = {key: value for key, value in data.items() if key.startswith("etcd_")}
    try:
        settings = Settings.model_validate(mine)
    except ValidationError as error:
        return None, [_complaint(host, problem) for problem in error.errors(include_url=False)]
    from etcd_steward.combinations import judge  # noqa: PLC0415 - which reads settings itself

    return settings, judge(host, settings)


def _plain(part: str) -> str:
    # A key that somebody wrote must not break the line of the message.
    return part if part.isprintable() else repr(part)


def _complaint(host: str, problem: Any) -> Complaint:
    where = [str(part) for part in problem["loc"] if not str(part).startswith(("function-", "constrained-"))]
    key = where[0]
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Settings.model_fields, n=1)
        hint = f"write {near[0]}" if near else "see docs/settings.md for the keys that there are"
        return Complaint(
            host,
            f"an unknown setting {key if key.isprintable() else shown(key)}",
            "a setting that exists",
            hint,
        )
    field = Settings.model_fields[key]
    reason = str(problem.get("ctx", {}).get("error", problem["msg"]))
    reason = reason.rpartition("wanted ")[2].removeprefix("Input should be ").partition(", unable")[0]
    example = f"such as {field.examples[0]!r}" if field.examples else ""
    # Some values are secrets.
    value = shown(problem["input"]) if field.repr else "a value that is not shown"
    return Complaint(
        host,
        f"{'.'.join(map(_plain, where))} = {value}",
        reason[:1].lower() + reason[1:],
        f"set {key} to a value {example}".rstrip(),
    )
