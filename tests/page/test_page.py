"""The page in Debian's Chromium, on the whole system."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from services.console.stack import start_worker, worker_environment
from services.settings import Settings
from tests.broker.shell import genrestream
from tests.gateway.serving import Client

pytestmark = pytest.mark.page
Radio = tuple[Client, Settings, dict[str, Any]]
SIZES = [(390, 844), (1280, 800), (1920, 1080)]
LIVE = "#link[data-state=ok]"


def wait(page: Any, condition: str, seconds: float = 20) -> None:
    """Wait for a condition; Playwright's own waiting needs eval, which our policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"not in time: {condition}"
        page.wait_for_timeout(100)


def wait_for_rows(page: Any) -> None:
    wait(page, "document.querySelectorAll('#rows .row').length >= 13")
    page.wait_for_selector(LIVE)


def test_each_station_says_what_it_plays_and_which_is_broken(page: Any) -> None:
    wait_for_rows(page)
    jazz = page.locator(".row", has_text="Blue Note FM")
    assert "on air" in jazz.inner_text().lower()
    assert "since" in jazz.locator(".now").inner_text()
    lost = page.locator(".row", has_text="Harbour Radio")
    assert lost.get_attribute("data-state") == "lost"
    assert "no audio came for 10 s" in lost.inner_text()


def test_a_row_moves_with_its_predictions(page: Any) -> None:
    wait_for_rows(page)
    page.evaluate(
        "window.seen = new Set(); setInterval(() => { const shown = "
        "document.querySelector('.row[data-state=on-air] .now em'); "
        "if (shown) seen.add(shown.textContent); }, 100)"
    )
    wait(page, "window.seen.size >= 3")


def test_find_show_and_sort(page: Any) -> None:
    wait_for_rows(page)
    page.fill("#find", "klassik")
    wait(page, "document.querySelectorAll('#rows .row').length === 1")
    page.fill("#find", "")
    page.select_option("#show", "trouble")
    wait(page, "document.querySelectorAll('#rows .row').length === 3")
    page.select_option("#show", "all")
    page.select_option("#sort", "trouble")
    first = "document.querySelector('#rows .row')?.dataset.state"
    wait(page, f"['lost', 'refused', 'silent'].includes({first})")


def test_a_file_builds_up_to_the_answer_of_classify(page: Any, clip: Path) -> None:
    wait_for_rows(page)
    page.set_input_files("#file", clip)
    wait(page, "/answer for all 0:12/.test(document.querySelector('#heard .say').textContent)", 40)
    shown = page.locator("#heard .big").inner_text()
    answer = json.loads(genrestream("classify", "--json", str(clip)).stdout)
    assert shown == f"{answer['label']} {round(100 * answer['confidence'])} %"


def test_a_file_is_dropped(page: Any, clip: Path) -> None:
    wait_for_rows(page)
    data = page.evaluate_handle(
        """(bytes) => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "<img src=x onerror=alert(1)>.wav"));
        return data }""",
        list(clip.read_bytes()[:400_000]),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    wait(page, "/answer for all/.test(document.querySelector('#heard .say').textContent)", 40)
    assert page.locator("#heard img").count() == 0


def test_a_broken_file_is_refused_in_words(page: Any, tmp_path: Path) -> None:
    wait_for_rows(page)
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"this is no music at all" * 100)
    page.set_input_files("#file", broken)
    page.wait_for_selector("#heard .say.bad")
    assert "send audio, such as" in page.locator("#heard .say").inner_text()


def test_the_microphone_is_labelled_within_seconds(page: Any) -> None:
    wait_for_rows(page)
    page.click("#microphone")
    page.wait_for_selector("#heard .big .sw", timeout=10_000)
    page.click("#microphone")
    assert page.get_attribute("#microphone", "aria-pressed") == "false"


def test_a_station_has_a_page_of_its_own(page: Any) -> None:
    wait_for_rows(page)
    page.locator(".row", has_text="Harbour Radio").click()
    wait(page, "/timeout/.test(document.querySelector('#station').innerText)")
    assert "no audio came" in page.locator("#station .big.why").inner_text()
    assert page.locator("#station .chart").is_hidden()
    page.go_back()
    page.locator(".row", has_text="Blue Note FM").click()
    page.wait_for_selector("#station .uplot", timeout=20_000)
    wait(page, "document.querySelectorAll('#station ol')[0].children.length > 10")
    values = "[...document.querySelectorAll('.u-legend .u-value')].map((value) => value.innerText)"
    wait(page, f"{values}.length === 11 && {values}.slice(1).every((value) => value.endsWith('%'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(
    browser: Any, radio: Radio, axe: str, size: tuple[int, int], scheme: str
) -> None:
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(radio[0].address + "/")
    wait_for_rows(page)
    page.add_script_tag(content=axe)
    for route in ("#/", "#/s/blue-note-fm", "#/s/harbour-radio"):
        page.evaluate(f"location.hash = '{route}'")
        page.wait_for_timeout(500)
        found = page.evaluate("axe.run()")["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{route} is {wide} px too wide at {width}"
    context.close()


def test_everything_comes_from_here_and_is_small(page: Any, radio: Radio) -> None:
    sizes: dict[str, int] = {}
    page.on("response", lambda r: sizes.__setitem__(r.url, len(r.body()) if r.ok else 0))
    page.goto("about:blank")
    page.route("**/api/events**", lambda route: route.abort())
    page.goto(radio[0].address + "/")
    page.wait_for_timeout(1500)
    assert all(url.startswith(radio[0].address) for url in sizes)
    files = {url: size for url, size in sizes.items() if "/api/" not in url}
    assert len(files) >= 8
    assert sum(files.values()) < 150_000


def test_updates_shift_nothing(page: Any) -> None:
    wait_for_rows(page)
    page.wait_for_timeout(1500)
    page.evaluate(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(entry) => { shift += entry.value })).observe({type: 'layout-shift', buffered: false})"
    )
    page.wait_for_timeout(7000)
    assert page.evaluate("window.shift") == 0


def test_keys_reach_everything(page: Any) -> None:
    wait_for_rows(page)
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"skip", "file", "microphone", "find", "show", "sort", "row"} <= reached
    page.keyboard.press("Enter")
    page.wait_for_selector("#station:not([hidden])")


def test_offline_is_said_and_heals(page: Any) -> None:
    wait_for_rows(page)
    page.context.set_offline(True)
    page.wait_for_selector("#trouble:not([hidden])")
    assert "offline" in page.locator("#trouble").inner_text()
    page.context.set_offline(False)
    page.wait_for_selector(LIVE, timeout=20_000)
    page.wait_for_selector("#trouble", state="hidden")


def test_without_news_no_station_is_called_broken(page: Any) -> None:
    """Labels that cannot reach the page say nothing about extractor and classifier."""
    wait_for_rows(page)
    on_air = "document.querySelectorAll('.row[data-state=on-air]').length"
    wait(page, f"{on_air} >= 10")
    page.context.set_offline(True)
    page.wait_for_selector("#link[data-state=bad]")
    page.evaluate("{ const now = Date.now; Date.now = () => now() + 120000 }")
    page.wait_for_timeout(6000)  # rows look at the clock every five seconds
    assert page.evaluate(on_air) >= 10
    prefix = "getComputedStyle(document.querySelector('.row .state'), '::before').content"
    assert page.evaluate(prefix) == '"was "'


def test_a_phone_shows_whole_names_and_reasons(browser: Any, radio: Radio) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(radio[0].address + "/")
    wait_for_rows(page)
    wait(page, "document.querySelectorAll('.row .why').length === 3")
    cut = page.evaluate(
        "[...document.querySelectorAll('.row:has(.why) .one')].filter((line) => line.scrollHeight "
        "> line.clientHeight + 1 || line.scrollWidth > line.clientWidth).map((l) => l.innerText)"
    )
    page.close()
    assert cut == []


def test_the_key_of_colours_is_in_sight_beside_the_list(page: Any) -> None:
    wait_for_rows(page)
    box = page.locator("#legend").bounding_box()
    assert box["y"] + box["height"] <= 800
    assert box["height"] < 30


def test_a_killed_gateway_is_said_and_heals(page: Any, radio: Radio) -> None:
    client, settings, workers = radio
    wait_for_rows(page)
    workers["gateway"].send_signal(signal.SIGKILL)
    workers["gateway"].wait()
    page.wait_for_selector("#trouble:not([hidden])", timeout=20_000)
    assert "gateway does not answer" in page.locator("#trouble").inner_text()
    port = int(client.address.rpartition(":")[2])
    again = settings.model_copy(update={"gateway_port": port})
    workers["gateway"] = start_worker("gateway", worker_environment(again))
    page.wait_for_selector(LIVE, timeout=40_000)
    page.wait_for_selector("#trouble", state="hidden")
    wait_for_rows(page)
