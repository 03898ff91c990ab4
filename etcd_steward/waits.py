"""Every wait for a host ends: connections are watched, whatever is asked or done has a limit, and a host that is back is connected anew."""

from __future__ import annotations

import contextlib
import time
from typing import IO, TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import gevent
from gevent.lock import RLock
from paramiko import ChannelException, SSHException
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors import ssh as _ssh
from pyinfra.connectors import util as _connectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyinfra.api import Host, State
    from pyinfra.connectors.util import CommandOutput

__all__ = ["COMMAND_S", "PROBE_S", "QUESTION_S", "SilenceError", "ending", "reach", "trouble", "watch"]

# Generous, as they only end what never would: a snapshot of the largest database on the slowest disk takes less than an
# hour, and packages over a slow line too. A question asks programs that have limits of their own.
PROBE_S = 120
QUESTION_S = 300
COMMAND_S = 3600
CONNECT_S = 60
# A transfer has no limit while anything of it comes or goes.
STUCK_S = 120
# A connection is asked whether anybody is there once nothing came for so long, and closed where nobody answers.
ASK_AFTER_S = 15
SILENCE_S = 60
# A host that grants one session at a time refuses the next until the last is closed.
REFUSED_S = 10
# What a host says of itself is a few hundred kilobytes at most.
ANSWER_BYTES = 16 << 20
# A run that was told to end waits for nothing longer.
ENDING_S = 10

_Told = TypeVar("_Told")


class SilenceError(OSError):
    """A host gave no answer within the limit, or too much of one."""


class _OverdueError(Exception):
    """The limit is over."""


_lines: WeakKeyDictionary[Host, _Line] = WeakKeyDictionary()
_ending: list[int] = []


def watch(state: State) -> None:
    """Put a limit on every wait for the hosts of a run; this is the only place that does.

    Args:
        state: pyinfra's state.
    """
    _connectors.read_output_buffers = _read_output_buffers
    _ssh.read_output_buffers = _read_output_buffers
    for host in state.inventory:
        if host not in _lines:
            _lines[host] = _Line(host)


def trouble(host: Host) -> str:
    """Say why a host gave no answer last.

    Args:
        host: the host.

    Returns:
        A sentence; empty where it answered.
    """
    return _lines[host].trouble if host in _lines else ""


def reach(host: Host) -> str:
    """Connect a host anew where its connection has ended.

    Args:
        host: the host.

    Returns:
        Why it is out of reach; empty where it can be asked.
    """
    line = _lines.get(host)
    if line is None:
        return ""
    try:
        line.within(CONNECT_S, line.reach)
    except SilenceError:
        return line.trouble
    return ""


def ending(seconds: int = ENDING_S) -> None:
    """Wait for nothing longer than some seconds from now on, as the run was told to end.

    Args:
        seconds: how long at most.
    """
    _ending.append(seconds)


def _limit(seconds: float | None) -> float | None:
    return min([limit for limit in (seconds, *_ending) if limit is not None], default=None)


class _Line:
    """The connection to one host, and the limits on all that goes over it."""

    def __init__(self, host: Host) -> None:
        self.trouble = ""
        self._host = host
        self._lock = RLock()
        self._watched: Any = None
        self._connect = host.connector.connect
        self._run, self._put, self._get = host.run_shell_command, host.put_file, host.get_file
        self._fact = host.get_fact
        # On this object alone: what is no part of a run of ours stays as it is.
        vars(host.connector).update(connect=self._connected)
        vars(host).update(
            run_shell_command=self._command,
            put_file=self._sent,
            get_file=self._received,
            get_fact=self._asked,
        )

    def within(self, seconds: float | None, work: Callable[[], _Told]) -> _Told:
        """Do something with the host, for some seconds at most.

        Args:
            seconds: the limit; None where it has one of its own.
            work: what is done.

        Returns:
            What came of it.

        Raises:
            SilenceError: the host is out of reach, or the limit is over.
        """
        limit = _limit(seconds)
        try:
            with gevent.Timeout(limit, _OverdueError):
                result = work()
        except SilenceError as error:
            self.trouble = str(error)
            raise
        except (_OverdueError, TimeoutError) as error:
            self._fail(f"no end of it within {limit} s", "an answer", error)
        except (EOFError, OSError, SSHException) as error:
            if self._alive():
                raise
            self._fail(f"a connection that ended ({error or type(error).__name__})", "an answer", error)
        self.trouble = ""
        return result

    def reach(self) -> None:
        """Connect anew where the connection has ended; a host that was never connected is pyinfra's to connect.

        Raises:
            SilenceError: it cannot be connected.
        """
        if not self._host.connected:
            return
        with self._lock:
            if not self._alive():
                # What was made over the old connection is gone with it.
                self._host.connector.disconnect()
                _connectors.clear_askpass_cache(self._host)
                try:
                    self._host.connector.connect()
                except ConnectError as error:
                    self._fail(f"no connection ({error})", "the host back", error)
            self._keep()

    def _fail(self, found: str, wanted: str, cause: BaseException) -> None:
        self.trouble = (
            f"{self._host.name}: found {found}, wanted {wanted}; "
            "next: look at the host, its network and its disks, then run again"
        )
        raise SilenceError(self.trouble) from cause

    def _client(self) -> Any:
        client = getattr(self._host.connector, "client", None)
        return client if hasattr(client, "get_transport") else None

    def _alive(self) -> bool:
        client = self._client()
        if client is None:
            return True
        transport = client.get_transport()
        return transport is not None and transport.is_active()

    def _connected(self) -> None:
        try:
            with gevent.Timeout(_limit(CONNECT_S), _OverdueError):
                self._connect()
        except BaseException as error:
            # One that is half made would be taken for a connection.
            client = self._client()
            if client is not None:
                client.close()
            if isinstance(error, _OverdueError):
                raise ConnectError(f"no connection within {_limit(CONNECT_S)} s") from error
            raise
        self._keep()

    def _command(self, *args: Any, **arguments: Any) -> tuple[bool, CommandOutput]:
        seconds = arguments.get("_timeout") or COMMAND_S
        arguments["_timeout"] = _limit(seconds)

        def work() -> tuple[bool, CommandOutput]:
            self.reach()
            done, output = self._granted(args, arguments)
            if not done and not self._alive():
                self._fail("a connection that ended", "an answer", EOFError())
            return done, output

        return self.within(seconds, work)

    def _granted(self, args: tuple[Any, ...], arguments: dict[str, Any]) -> tuple[bool, CommandOutput]:
        """Give a command, and again where the host refuses a session: what was refused has never begun."""
        begun = time.monotonic()
        while True:
            try:
                return self._run(*args, **arguments)
            except ChannelException:
                if not self._alive() or time.monotonic() - begun > REFUSED_S:
                    raise
                gevent.sleep(0.2)

    def _asked(self, *args: Any, **arguments: Any) -> Any:
        if not arguments.get("_timeout"):
            arguments["_timeout"] = QUESTION_S
        return self._fact(*args, **arguments)

    def _sent(self, source: str | IO[bytes], *args: Any, **arguments: Any) -> bool:
        if not isinstance(source, str):
            return self._transfer(self._put, source, args, arguments)
        with open(source, "rb") as file:  # noqa: PTH123 - as pyinfra does
            return self._transfer(self._put, file, args, arguments)

    def _received(self, source: str, target: str | IO[bytes], *args: Any, **arguments: Any) -> bool:
        def get(file: Any, *more: Any, **others: Any) -> bool:
            return self._get(source, file, *more, **others)

        if not isinstance(target, str):
            return self._transfer(get, target, args, arguments)
        with open(target, "wb") as file:  # noqa: PTH123 - as pyinfra does
            return self._transfer(get, file, args, arguments)

    def _transfer(
        self, work: Callable[..., bool], file: IO[bytes], args: tuple[Any, ...], arguments: dict[str, Any]
    ) -> bool:
        if self._client() is None:
            # These copy files in one go, so that no progress shows.
            return self.within(COMMAND_S, lambda: work(file, *args, **arguments))
        counted = _Counted(file)

        def moved() -> bool:
            self.reach()
            job = gevent.spawn(work, counted, *args, **arguments)
            # pyinfra's operations wait for it; what goes wrong is told by them, without a trace.
            job.link_exception(lambda _job: None)
            since, before = time.monotonic(), -1
            try:
                while not job.ready():
                    job.join(min(5, STUCK_S))
                    if counted.bytes != before:
                        since, before = time.monotonic(), counted.bytes
                    elif time.monotonic() - since > STUCK_S:
                        self._fail(
                            f"a transfer that stands still after {before} bytes", "progress", TimeoutError()
                        )
            finally:
                job.kill(block=False)
            return bool(job.get())

        return self.within(None, moved)

    def _keep(self) -> None:
        client = self._client()
        if client is None or client is self._watched or not self._alive():
            return
        self._watched = client
        transport = client.get_transport()
        heard = [time.monotonic()]
        read = transport.packetizer.read_message

        def read_message() -> Any:
            message = read()
            heard[0] = time.monotonic()
            return message

        transport.packetizer.read_message = read_message
        gevent.spawn(_attend, transport, heard)


def _attend(transport: Any, heard: list[float]) -> None:
    """Close a connection over which nothing comes any more, not even an answer to whether anybody is there."""
    while transport.is_active():
        before = time.monotonic()
        gevent.sleep(ASK_AFTER_S)
        now = time.monotonic()
        if now - before > 2 * ASK_AFTER_S:
            # This machine had no time to listen, as at a prompt.
            heard[0] = now
        elif now - heard[0] > SILENCE_S:
            transport.close()
        elif now - heard[0] >= ASK_AFTER_S:
            # Where nobody answers this never returns before the connection is closed.
            gevent.spawn(transport.global_request, "keepalive@openssh.com")


class _Counted:
    """A file that tells how much was read from it or written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def read(self, *args: Any) -> bytes:
        """Read some bytes."""
        data = self._file.read(*args)
        self.bytes += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Write some bytes."""
        self.bytes += len(data)
        return self._file.write(data)


_read_whole = _connectors.read_output_buffers


class _Output:
    """What a command writes, but not without an end."""

    def __init__(self, *buffers: Any) -> None:
        self._buffers = buffers
        self._bytes = 0

    def endless(self) -> bool:
        """Whether it wrote more than any answer is."""
        return self._bytes > ANSWER_BYTES

    def lines(self, buffer: Any) -> Iterator[str | bytes]:
        """Read a buffer line by line, as far as the limit allows.

        Args:
            buffer: one of them.

        Yields:
            Each line.
        """
        while not self.endless():
            try:
                line = buffer.readline(ANSWER_BYTES - self._bytes + 1)
            except (OSError, ValueError):
                if self.endless():  # closed by the other reader
                    return
                raise
            if not line:
                return
            self._bytes += len(line)
            if self.endless():
                self.close()
                return
            yield line

    def close(self) -> None:
        """Read no more of it."""
        # Over SSH the channel alone: others use the connection. A command without one ends when its pipe does.
        channel = getattr(self._buffers[0], "channel", None)
        for closing in (channel,) if channel else self._buffers:
            with contextlib.suppress(Exception):
                closing.close()


def _read_output_buffers(
    stdout_buffer: Any, stderr_buffer: Any, timeout: int | None, print_output: bool, print_prefix: str
) -> CommandOutput:
    """Stand in for pyinfra's function of this name."""
    output = _Output(stdout_buffer, stderr_buffer)
    try:
        told = _read_whole(
            output.lines(stdout_buffer),
            output.lines(stderr_buffer),
            timeout=timeout,
            print_output=print_output,
            print_prefix=print_prefix,
        )
    except BaseException:
        output.close()
        raise
    if output.endless():
        raise SilenceError(
            f"found more than {ANSWER_BYTES >> 20} MiB of output of one command, wanted its answer; "
            "next: look at the host for a program that prints without an end, then run again"
        )
    return told
