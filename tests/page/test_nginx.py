"""The page and the API behind nginx, under a path, as docs/gateway.md has it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.kafka.embedded_broker import free_port
from tests.gateway.serving import Client
from tests.page.following import wait_until
from tests.page.test_page import LIVE, Radio, wait

pytestmark = pytest.mark.page
ROOT = Path(__file__).parents[2]
NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{port2} http2; {location} }}
}}
"""


@pytest.fixture(scope="module")
def proxy(radio: Radio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Run nginx with the location that the docs give; yield its addresses, by HTTP/1.1 and 2."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("no nginx on PATH: apt install nginx")
    folder, port, port2 = tmp_path_factory.mktemp("nginx"), free_port(), free_port()
    docs = (ROOT / "docs" / "gateway.md").read_text()
    found = re.search(r"location /radio/ \{.*?\n    \}", docs, re.DOTALL)
    assert found
    location = found[0].replace("http://127.0.0.1:8350/", f"{radio[0].address}/")
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, port=port, port2=port2, location=location))
    server = subprocess.Popen([program, "-p", str(folder), "-c", str(path)])
    plain, second = (f"http://localhost:{number}/radio" for number in (port, port2))
    try:
        wait_until(lambda: _answers(plain), 20, "nginx answers")
        yield plain, second
    finally:
        server.terminate()
        server.wait(10)


def _answers(address: str) -> bool:
    try:
        return Client(address)("GET", "/healthz").status == 200
    except OSError:
        return False


def test_the_page_lives_under_a_path(browser: Any, proxy: tuple[str, str]) -> None:
    context = browser.new_context(permissions=["microphone"])
    page = context.new_page()
    page.goto(proxy[0] + "/")
    wait(page, "document.querySelectorAll('#rows .row').length >= 13")
    page.wait_for_selector(LIVE)
    page.evaluate(
        "window.seen = new Set(); setInterval(() => { const shown = "
        "document.querySelector('.row[data-state=on-air] .now em'); "
        "if (shown) seen.add(shown.textContent); }, 100)"
    )
    wait(page, "window.seen.size >= 2")
    page.click("#microphone")
    page.wait_for_selector("#heard .big .sw", timeout=30_000)
    context.close()


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_by_both_versions(proxy: tuple[str, str], clip: Path, version: str) -> None:
    address = proxy[version != "--http1.1"]
    curl = shutil.which("curl") or pytest.skip("no curl on PATH")

    def ask(*arguments: str) -> str:
        command = [curl, "-s", "-N", "--max-time", "30", version, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    answer = ask("--data-binary", f"@{clip}", f"{address}/api/classify")
    assert '"final":true' in answer
    events = ask("--max-time", "4", f"{address}/api/events?kinds=now")
    assert events.count("event: now") >= 2
    assert '"remedy"' in ask(f"{address}/api/now/nobody")
