"""Where texts of hosts come in: nothing in them steers a terminal, and JSON fits the types that are wanted, or is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["clean", "decoded", "number", "read_members", "read_status"]

# Control characters, signs that turn the direction of a text or are not seen, and halves of a character, which cannot be
# printed at all.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_LONGEST = 2**63


def clean(text: str) -> str:
    """Take out what could steer a terminal, or cannot be printed; tabulators stay.

    Args:
        text: a line that a host told.
    """
    return _UNPRINTABLE.sub(lambda found: "\t" if found[0] == "\t" else "", text)


def number(text: str) -> int:
    """Read a number that a host told.

    Args:
        text: its digits.

    Raises:
        ValueError: it is none, or larger than anything that is counted.
    """
    if len(text) > 20 or abs(found := int(text)) >= _LONGEST:  # noqa: PLR2004 - the digits of the largest
        raise ValueError(f"{text[:40]} is no number that can be")
    return found


def decoded(text: str) -> Any:
    """Decode the JSON of a host.

    Args:
        text: the JSON.

    Returns:
        The value, with all its texts cleaned.

    Raises:
        ValueError: it is no JSON, or none that can be worked with.
    """
    try:
        return _cleaned(json.loads(text, parse_constant=_refuse))
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error


def _refuse(word: str) -> None:
    raise ValueError(f"{word} in JSON")


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    return value


def _address(text: str) -> str:
    parts = urlsplit(text)
    _ = parts.hostname, parts.port
    return text


_Number = Annotated[int, Field(ge=0, lt=2**64)]
_Size = Annotated[int, Field(ge=0, lt=_LONGEST)]
_Word = Annotated[str, StringConstraints(max_length=1000)]
_Url = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_address)]


class _Answer(BaseModel):
    # Fields that nobody asks for may be anything; a field may be missing, and never null.
    model_config = ConfigDict(strict=True, extra="ignore")


class _Header(_Answer):
    cluster_id: _Number
    member_id: _Number
    revision: _Size = 0
    raft_term: _Number = 0


class _Downgrade(_Answer):
    enabled: bool = False
    targetVersion: _Word = ""


class _Status(_Answer):
    header: _Header
    version: _Word
    dbSize: _Size = 0
    dbSizeInUse: _Size = 0
    dbSizeQuota: _Size = 0
    leader: _Number = 0
    raftIndex: _Number = 0
    raftTerm: _Number = 0
    raftAppliedIndex: _Number = 0
    errors: list[_Word] = []
    isLearner: bool = False
    storageVersion: _Word = ""
    downgradeInfo: _Downgrade = _Downgrade()


class _Member(_Answer):
    ID: _Number
    name: _Word = ""
    peerURLs: list[_Url]
    clientURLs: list[_Url] = []
    isLearner: bool = False


class _Members(_Answer):
    header: _Header
    members: list[_Member]


def read_status(text: str) -> dict[str, Any]:
    """Read what `etcdctl endpoint status -w json` printed of one endpoint.

    Args:
        text: its output.

    Returns:
        Its status: the fields that are used, each of its type.

    Raises:
        ValueError: it does not fit.
    """
    told = decoded(text)
    entry = told[0] if isinstance(told, list) and told else None
    status = entry.get("Status") if isinstance(entry, Mapping) else None
    return _Status.model_validate(status).model_dump(exclude_unset=True)


def read_members(text: str) -> dict[str, Any]:
    """Read what `etcdctl member list -w json` printed.

    Args:
        text: its output.

    Returns:
        The list, with each field of its type.

    Raises:
        ValueError: it does not fit.
    """
    return _Members.model_validate(decoded(text)).model_dump(exclude_unset=True)
