"""How everything that is wrong is told: which host, what was found, what was wanted, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Complaint", "complaints_text", "shown"]


@dataclass(frozen=True, order=True)
class Complaint:
    """One thing that is wrong on one host.

    Args:
        host: the inventory name of the host, or of the cluster where no single host is at fault.
        found: what is there.
        wanted: what should be there.
        next: what the operator does about it.
    """

    host: str
    found: str
    wanted: str
    next: str

    @classmethod
    def of(cls, host: str, error: Exception, wanted: str, what_next: str) -> Complaint:
        """Make a complaint of an error, whose words may be a whole sentence of this kind already.

        Args:
            host: as above.
            error: the error; its text may say what was found, what was wanted, and what is next.
            wanted: what should be there, where its text does not say so.
            what_next: what the operator does about it, where its text does not say so.

        Returns:
            The complaint.
        """
        found, _, rest = str(error).removeprefix("found ").partition(", wanted ")
        where, told, what = found.partition(": found ")
        if told:  # the sentence begins with the path that it is about
            found = f"{what} ({where})"
        should, _, then = rest.partition("; next: ")
        return cls(host, found, should or wanted, then or what_next)

    def __str__(self) -> str:
        line = f"{self.host}: found {self.found}, wanted {self.wanted}; next: {self.next}"
        # What somebody wrote into a setting, or what a host said, does not break the line.
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def complaints_text(complaints: list[Complaint]) -> str:
    """Put all complaints of a run into one message, as pyinfra prints only the first error that it meets.

    Args:
        complaints: what is wrong, at least one.

    Returns:
        The complaints in order of host, one a line, with a last line saying that nothing was changed.
    """
    lines = [str(complaint) for complaint in dict.fromkeys(complaints)]
    return "\n".join(["refused, no host was changed:", *(f"    {line}" for line in lines)])


def shown(value: object) -> str:
    """Write a value that somebody set into one short line.

    Args:
        value: anything.

    Returns:
        Its representation, cut off behind 80 characters.
    """
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        text = f"a huge {type(value).__name__}"
    line = text if text.isprintable() else ascii(text)
    return line if len(line) <= 80 else f"{line[:77]}..."  # noqa: PLR2004
