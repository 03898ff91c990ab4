"""A complaint says once what was found, what was wanted and what is next, whoever found it out."""

import pytest

from etcd_steward.errors import Complaint


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("no file", ("no file", "a file", "make one")),
        ("found no file, wanted a key; next: look", ("no file", "a key", "look")),
        ("a/b: found no file, wanted a key; next: look", ("no file (a/b)", "a key", "look")),
        ("found 3.7.1, wanted 3.5.34", ("3.7.1", "3.5.34", "make one")),
    ],
)
def test_an_error_that_is_a_whole_sentence_is_taken_apart(text: str, wanted: tuple[str, str, str]) -> None:
    told = Complaint.of("n1", ValueError(text), "a file", "make one")
    assert (told.host, told.found, told.wanted, told.next) == ("n1", *wanted)
