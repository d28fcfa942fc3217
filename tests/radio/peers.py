"""Real peers: Debian's icecast2 and liquidsoap, ffmpeg for HLS and SRT, and a small RTSP server."""

import asyncio
import base64
import os
import shutil
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.request import urlopen

from services.kafka.embedded_broker import free_port
from tests.broker.shell import wait_until
from tests.receiver.servers import sound

PASSWORD: Final = "hackme"  # noqa: S105 - of a server that lives for a test
_ICECAST: Final = """\
<icecast>
  <limits><sources>20</sources><burst-size>65535</burst-size></limits>
  <authentication><source-password>{password}</source-password>
    <admin-user>admin</admin-user><admin-password>{password}</admin-password></authentication>
  <hostname>127.0.0.1</hostname>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <paths><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
    <adminroot>/usr/share/icecast2/admin</adminroot></paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog></logging>
  {owner}
</icecast>
"""
_OWNER: Final = """<security><chroot>0</chroot>
  <changeowner><user>nobody</user><group>nogroup</group></changeowner></security>"""
_LIQUIDSOAP: Final = """\
settings.init.allow_root.set(true)
settings.log.level.set(2)
radio = mksafe(playlist(mode="normal", "{playlist}"))
output.icecast(%mp3(bitrate=128), host="127.0.0.1", port={port}, password="{password}",
  mount="mp3", name="Peer Radio", radio)
output.icecast(%vorbis(quality=0.4), host="127.0.0.1", port={port}, password="{password}",
  mount="vorbis.ogg", radio)
output.icecast(%opus(bitrate=96), host="127.0.0.1", port={port}, password="{password}",
  mount="opus.ogg", radio)
output.icecast(%ogg(%flac), host="127.0.0.1", port={port}, password="{password}",
  mount="flac.ogg", radio)
output.icecast(%ffmpeg(format="adts", %audio(codec="aac", b="96k")), host="127.0.0.1",
  port={port}, password="{password}", mount="aac", format="audio/aac", icy_metadata="true",
  radio)
"""
#: A frame of layer III at 128 kbit/s and 44.1 kHz, with and without its padding.
_FRAME_SECONDS: Final = 1152 / 44_100


def missing_peers() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in ("icecast2", "liquidsoap", "ffmpeg") if not shutil.which(name)]


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the duration of a block."""
    quiet = subprocess.DEVNULL
    running = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@contextmanager
def icecast(folder: Path) -> Iterator[int]:
    """Run icecast; yields its port."""
    port, owner = free_port(), _OWNER if os.getuid() == 0 else ""
    configuration = folder / "icecast.xml"
    with TemporaryDirectory() as logs:  # not pytest's folder, which is for its user alone
        Path(logs).chmod(0o777)  # icecast gives up root's rights
        configuration.write_text(
            _ICECAST.format(port=port, folder=logs, password=PASSWORD, owner=owner)
        )
        with process("icecast2", "-c", str(configuration)):
            yield port


@contextmanager
def liquidsoap(folder: Path, port: int, tracks: Sequence[tuple[str, str, Path]]) -> Iterator[None]:
    """Play tracks, each with artist and title, to icecast in five codecs."""
    playlist = folder / "tracks.m3u"
    playlist.write_text(
        "".join(f'annotate:artist="{a}",title="{t}":{path}\n' for a, t, path in tracks)
    )
    script = folder / "radio.liq"
    script.write_text(_LIQUIDSOAP.format(playlist=playlist, port=port, password=PASSWORD))
    with process("liquidsoap", str(script)):
        for mount in ("mp3", "aac", "vorbis.ogg", "opus.ogg", "flac.ogg"):
            wait_until(lambda mount=mount: _plays(f"http://127.0.0.1:{port}/{mount}"), 120)  # type: ignore[misc]
        yield


def _plays(address: str) -> bool:
    try:
        with urlopen(address, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        time.sleep(0.2)
        return False


@contextmanager
def hls(folder: Path, track: Path) -> Iterator[str]:
    """Play HLS of TS and of fMP4 by a plain HTTP server; yields its address."""
    port = free_port()
    server = ("python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder))
    live = ("-c:a", "aac", "-f", "hls", "-hls_time", "4", "-hls_list_size", "6")
    with ExitStack() as running:
        running.enter_context(process(*server, str(port)))
        for kind in ("mpegts", "fmp4"):
            (folder / kind).mkdir(parents=True)
            running.enter_context(
                process(
                    *("ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(track)),
                    *(*live, "-hls_flags", "delete_segments", "-hls_segment_type", kind),
                    str(folder / kind / "live.m3u8"),
                )
            )
        yield f"http://127.0.0.1:{port}"


@contextmanager
def srt(track: Path) -> Iterator[str]:
    """Offer a track by SRT, to one listener after the other; yields its address."""
    port = free_port()
    script = (
        f"while :; do ffmpeg -v error -re -stream_loop -1 -i '{track}' -c:a aac -f mpegts "
        f"'srt://127.0.0.1:{port}?mode=listener'; done"
    )
    running = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    try:
        yield f"srt://127.0.0.1:{port}"
    finally:
        os.killpg(running.pid, 9)
        running.wait()


@asynccontextmanager
async def rtsp(user: str, password: str) -> AsyncIterator[str]:
    """Serve MP3 by RTSP (RFC 2326, interleaved; RFC 2250), to who knows the password."""
    secret = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    server = await asyncio.start_server(lambda r, w: _serve_rtsp(r, w, secret), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"rtsp://{user}:{password}@127.0.0.1:{port}/live"
    finally:
        server.close()


_SDP: Final = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 14\r\na=control:1\r\n"
)


async def _serve_rtsp(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret: str
) -> None:
    playing: asyncio.Task[None] | None = None
    try:
        while request := (await reader.readuntil(b"\r\n\r\n")).decode():
            lines = request.split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            status, more, body = "200 OK", "", b""
            if fields.get("Authorization") != secret and not request.startswith("OPTIONS"):
                status, more = "401 Unauthorized", 'WWW-Authenticate: Basic realm="x"\r\n'
            elif request.startswith("DESCRIBE"):
                more, body = "Content-Type: application/sdp\r\n", _SDP
            elif request.startswith("SETUP"):
                more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif request.startswith("PLAY"):
                more = "Session: 1\r\n"
            head = f"RTSP/1.0 {status}\r\nCSeq: {fields['CSeq']}\r\n{more}"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            if request.startswith("PLAY") and playing is None:
                playing = asyncio.create_task(_send_frames(writer))
    except (OSError, EOFError):
        pass
    except asyncio.CancelledError:
        pass  # the end of the test; else asyncio logs it as a fault of the server
    finally:
        if playing:
            playing.cancel()
        writer.close()


async def _send_frames(writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    began, data, place, number = loop.time(), sound("mp3"), sound("mp3").find(b"\xff\xfb"), 0
    while True:
        length = 417 + (data[place + 2] >> 1 & 1)
        frame = data[place : place + length]
        place = place + length if place + 2 * length < len(data) else data.find(b"\xff\xfb")
        stamp = round(number * _FRAME_SECONDS * 90_000) & 0xFFFFFFFF
        head = struct.pack(">BBHII", 0x80, 0x80 | 14, number & 0xFFFF, stamp, 1)
        packet = head + b"\0\0\0\0" + frame
        writer.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
        await writer.drain()
        number += 1
        await asyncio.sleep(began + number * _FRAME_SECONDS - loop.time())
