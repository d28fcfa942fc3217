"""ffmpeg as a process of its own: bytes in, mono PCM at 22,050 Hz out.

It is the leader of its own session, dies with us (also by ``kill -9``), has limits on its memory
and its processor time, opens no addresses but those it is given, and is always reaped.
"""

import asyncio
import contextlib
import os
import re
import resource
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from features.formats.ffmpeg import ffmpeg_path
from services.receiver.addresses import DEVICE_SCHEMES, scheme
from services.receiver.containers import Container
from services.receiver.reasons import failed
from terminal.processes import die_with_parent

SAMPLE_RATE: Final = 22_050
SAMPLE_BYTES: Final = 2
#: A decoder has some 55 MB of data; tags without end, and bytes without frames, let it grow.
_DATA_BYTES: Final = 192 * 1024**2
#: Beyond what a decoder has used, which is looked at each time the clock is set forward.
_CPU_SECONDS: Final = 60
_CPU_CHECK_SECONDS: Final = 20.0
_STDERR_BYTES: Final = 2000
#: As in ``Stream #0:0: Audio: mp3, 44100 Hz, stereo, fltp, 128 kb/s``.
_SOUND: Final = re.compile(rb"Stream #0:\d+[^\n]*?: Audio: ([^,\n]+, \d+ Hz, [^,\n]+),")
_END_SECONDS: Final = 3.0
_OUTPUT: Final = (
    *("-map", "0:a:0", "-vn", "-sn", "-dn"),
    *("-ac", "1", "-ar", str(SAMPLE_RATE), "-c:a", "pcm_s16le"),
    *("-flush_packets", "0", "-f", "s16le", "pipe:1"),
)
_COMMON: Final = (
    "-hide_banner",
    "-nostdin",
    "-nostats",
    "-loglevel",
    "level+info",
    "-threads",
    "1",
)
#: Formats whose frames say all in the first few: ffmpeg need not look at 5 s of them.
_QUICK: Final = ("-probesize", "65536", "-analyzeduration", "1000000")
_NETWORK: Final = "http,https,tcp,tls,crypto,hls,rtp,udp,rtsp,rtmp,rtmps,srt"


def pipe_arguments(container: Container) -> list[str]:
    """Return ffmpeg's arguments for bytes that we feed it."""
    demuxer = ("-f", container.demuxer) if container.demuxer else ()
    return [*_COMMON, "-protocol_whitelist", "pipe", *_QUICK, *demuxer, "-i", "pipe:0", *_OUTPUT]


def address_arguments(url: str, user_agent: str) -> tuple[list[str], bytes]:
    """Return ffmpeg's arguments for an address that it reads as a whole, or a sound card.

    Returns
    -------
    The arguments, and what is written to its standard input: a script of its concat demuxer, so
    that the address, which may hold a password, is on no command line.
    """
    kind = scheme(url)
    if kind in DEVICE_SCHEMES:
        return [*_COMMON, "-f", kind, "-i", url.partition(":")[2], *_OUTPUT], b""
    options = {}
    if kind in ("http", "https"):
        options = {"user_agent": user_agent, "rw_timeout": "10000000"}
    if kind in ("rtsp", "rtsps"):
        options = {"rtsp_transport": "tcp", "timeout": "10000000"}
    lines = ["ffconcat version 1.0", f"file {_quoted(url)}"]
    lines += [f"option {name} {_quoted(value)}" for name, value in options.items()]
    script = ("-f", "concat", "-safe", "0", "-protocol_whitelist", f"pipe,{_NETWORK}")
    return [*_COMMON, *script, "-i", "pipe:0", *_OUTPUT], ("\n".join(lines) + "\n").encode()


def _quoted(text: str) -> str:
    """Quote as ffmpeg's scripts do: no character but the quote itself means anything."""
    return "'" + text.replace("'", "'\\''") + "'"


def _limit_ourselves() -> None:
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_DATA, (_DATA_BYTES, _DATA_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, hard))


def require_ffmpeg() -> str:
    """Return the path of ffmpeg.

    Raises
    ------
    SourceFailed
        There is none.
    """
    path = ffmpeg_path()
    if path is None:
        raise failed("no-ffmpeg")
    return path


@dataclass
class Decoder:
    """A running decoder; made by `start_decoder`, ended by `close`.

    Attributes
    ----------
    sound
        Codec, rate and channels of what it decodes, once that is known.
    """

    process: asyncio.subprocess.Process
    sound: str = ""
    _errors: deque[bytes] = field(default_factory=lambda: deque(maxlen=20))
    _reading_errors: asyncio.Task[None] | None = None
    _limited: float = field(default_factory=time.monotonic)
    _rest: bytes = b""

    async def write(self, data: bytes) -> None:
        """Feed bytes; waits while the decoder has enough.

        Raises
        ------
        SourceFailed
            It takes no more.
        """
        stdin = self.process.stdin
        assert stdin is not None
        try:
            stdin.write(data)
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise failed("decoder-died", self.complaint()) from error
        self._allow_processor_time()

    def end_input(self) -> None:
        """Tell it that nothing more comes; what it holds then comes out."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    async def read(self) -> bytes:
        """Return whole samples of PCM, empty at the end."""
        assert self.process.stdout is not None
        while True:
            data = await self.process.stdout.read(64 * 1024)
            if not data:
                return b""
            data = self._rest + data
            odd = len(data) % SAMPLE_BYTES
            self._rest = data[len(data) - odd :]
            if len(data) > odd:
                return data[: len(data) - odd]

    def _allow_processor_time(self) -> None:
        """Allow another minute beyond what it has used."""
        now = time.monotonic()
        if now - self._limited < _CPU_CHECK_SECONDS or not hasattr(resource, "prlimit"):
            return
        self._limited = now
        used = cpu_seconds(self.process.pid)
        with contextlib.suppress(OSError, ValueError):
            _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_CPU)
            soft = int(used) + _CPU_SECONDS
            resource.prlimit(self.process.pid, resource.RLIMIT_CPU, (soft, hard))

    def faults(self) -> list[str]:
        """Return the faults that it reported, without addresses."""
        lines = b"".join(self._errors).decode(errors="replace").splitlines()
        faults = [
            line.rpartition("] ")[2].split()
            for line in lines
            if "[error] " in line or "[fatal] " in line
        ]
        return [" ".join("…" if "://" in w else w for w in words)[:200] for words in faults]

    def complaint(self) -> str:
        """Return the last fault that it reported, or nothing."""
        return (self.faults() or [""])[-1]

    async def close(self) -> None:
        """Kill it, with all that it started, and reap it."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        # Pipes that nobody reads keep wait() waiting: they are closed first. Not by the transport's
        # own close(), which may reap the process before asyncio's watcher does.
        transport = self.process._transport  # type: ignore[attr-defined]
        for number in range(3):
            if pipe := transport.get_pipe_transport(number):
                pipe.close()
        await self.process.wait()
        transport.close()
        if self._reading_errors:
            self._reading_errors.cancel()
            await asyncio.gather(self._reading_errors, return_exceptions=True)

    async def _collect_errors(self) -> None:
        assert self.process.stderr is not None
        while data := await self.process.stderr.read(_STDERR_BYTES):
            self._errors.append(data)
            if not self.sound:
                self.sound = _sound(b"".join(self._errors))

    async def settle(self) -> None:
        """Wait a moment for what it says at its end."""
        if self._reading_errors:
            await asyncio.wait([self._reading_errors], timeout=_END_SECONDS)


async def start_decoder(arguments: Sequence[str]) -> Decoder:
    """Start ffmpeg; the caller closes it.

    Raises
    ------
    SourceFailed
        There is no ffmpeg, or it cannot be started.
    """
    return await start_process([require_ffmpeg(), *arguments])


async def start_process(command: Sequence[str], *, limited: bool = True) -> Decoder:
    """Start a process that writes to its stdout; raises as `start_decoder` does."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_limit_ourselves if limited else die_with_parent,
        )
    except OSError as error:
        raise failed("decoder-died", f"it cannot be started: {error.strerror}") from error
    decoder = Decoder(process)
    decoder._reading_errors = asyncio.create_task(decoder._collect_errors())
    return decoder


def _sound(said: bytes) -> str:
    """Return codec, rate and channels from what ffmpeg says.

    >>> _sound(b"[info] Stream #0:0: Audio: aac (LC) (mp4a / 0x6134), 44100 Hz, stereo, fltp")
    'aac (LC), 44100 Hz, stereo'
    """
    found = _SOUND.search(said)
    words = found.group(1).decode(errors="replace") if found else ""
    return re.sub(r" \([^()]*/ 0x[0-9A-Fa-f]+\)", "", words)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process; 0 where that is not known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read once a minute each
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 where that is not known."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
