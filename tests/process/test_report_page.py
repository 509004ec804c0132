"""A report's page in a real browser: nothing overflows, nothing leaves it, and it works with and without scripts."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import missing
from support.past_runs import PastRun, eventful_run

from mpsbridge.reports.page import page
from mpsbridge.reports.summary import make_report

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars"),
)
HOSTILE = '<img src="http://leak.invalid/a"><script src="http://leak.invalid/b"></script>'
PROBE = """<!doctype html><meta charset="utf-8"><body style="margin:0"><pre id="found"></pre>
<iframe id="page" src="/report" SANDBOX style="border:0" width="WIDTH" height="2000"></iframe>
<script>
document.getElementById("page").addEventListener("load", async (event) => {
  const view = event.target.contentWindow, document_ = view.document, root = document_.documentElement;
  const hosts = () => [...document_.querySelectorAll("section.host")].filter((each) => !each.hidden).length;
  const sideways = [...document_.querySelectorAll("body *")]
    .filter((each) => !each.closest("svg svg") && each.getClientRects().length)
    .filter((each) => each.getBoundingClientRect().right > view.innerWidth + 1)
    .map((each) => each.outerHTML.slice(0, 120));
  const form = document_.querySelector(".filters"), all = hosts(), wide = root.scrollWidth;
  const requests = view.performance.getEntriesByType("resource").map((each) => each.name);
  const text = document_.body.innerText.includes("alice (session 2)");
  const evil = document_.createElement("script");
  evil.textContent = "window.injected = true";
  document_.body.append(evil);
  const image = document_.createElement("img");
  image.src = "http://leak.invalid/c";
  document_.body.append(image);
  const asked = {};
  const ask = (name, text, attention) => {
    form.querySelector("input[type=search]").value = text;
    form.querySelector("input[type=checkbox]").checked = attention;
    form.dispatchEvent(new view.Event("input"));
    const lines = document_.querySelectorAll("tr[data-host]:not([hidden])").length;
    asked[name] = [hosts(), lines, form.querySelector("output").value];
  };
  ask("name", "FRANK", false); ask("attention", "", true); ask("nothing", "nobody of that name", false);
  await new Promise((done) => setTimeout(done, 50));
  parent.document.getElementById("found").textContent = JSON.stringify({
    wide, inner: view.innerWidth, sideways, all, asked, form_hidden: form.hidden,
    injected: view.injected === true, requests,
    styled: view.getComputedStyle(document_.querySelector("section.host")).borderRadius,
    text,
  });
});
</script>"""


class Recorder(BaseHTTPRequestHandler):
    """Serves the page and the probe, and is the browser's proxy: whatever leaves the page is asked for here."""

    pages: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.pages.get(re.sub(r"^http://[^/]+", "", self.path))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write((body or "").encode())

    def do_CONNECT(self) -> None:
        self.asked.append(self.path)
        self.send_error(403)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Browser:
    """Chromium, with a folder of its own and nothing but the recorder to talk to."""

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self._call = [program, *FLAGS, f"--user-data-dir={folder}", f"--proxy-server=127.0.0.1:{port}"]
        self._call.append("--proxy-bypass-list=<-loopback>")
        self._home = f"http://127.0.0.1:{port}"
        self._environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}

    def run(self, *words: str) -> str:
        """Open the probe; what it prints."""
        done = subprocess.run(
            [*self._call, *words, f"{self._home}/probe"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=self._environment,
        )
        return done.stdout

    def probe(self, width: int, *, scripts: bool = True) -> dict[str, Any]:
        """What the probe found out about the page at this width."""
        sandbox = "" if scripts else 'sandbox="allow-same-origin"'
        Recorder.pages["/probe"] = PROBE.replace("SANDBOX", sandbox).replace("WIDTH", str(width))
        dom = self.run("--virtual-time-budget=5000", "--dump-dom", "--window-size=1600,2200")
        (found,) = re.findall(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
        answer: dict[str, Any] = json.loads(html.unescape(found))
        return answer


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("chromium")
        raise AssertionError  # missing() does not return
    Recorder.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Recorder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Browser(program, tmp_path / "browser", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def eventful(tmp_path: Path) -> None:
    Recorder.pages["/report"] = page(make_report(*eventful_run(tmp_path).told))


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_and_its_filters_work(browser: Browser, eventful: None, width: int) -> None:
    found = browser.probe(width)
    assert found["sideways"] == []
    assert found["wide"] <= found["inner"] == width
    assert found["styled"] != "0px"
    assert not found["form_hidden"]
    assert found["all"] == 5
    assert found["asked"] == {"name": [1, 1, "1 of 5"], "attention": [4, 4, "4 of 5"], "nothing": [0, 0, "0 of 5"]}


def test_nothing_leaves_the_page_and_nothing_foreign_runs_in_it(browser: Browser, tmp_path: Path) -> None:
    past = PastRun(tmp_path, hosts=(HOSTILE,), reason=HOSTILE)
    past.on(HOSTILE, lambda host: host.log_on(2, "alice (session 2)" + HOSTILE))
    Recorder.pages["/report"] = page(make_report(*past.told))
    found = browser.probe(1200)
    assert found["text"]
    assert found["injected"] is False
    assert found["requests"] == []
    assert "/report" in {re.sub(r"^http://[^/]+", "", asked) for asked in Recorder.asked}
    assert not [asked for asked in Recorder.asked if "leak.invalid" in asked]


def test_the_page_reads_without_scripts(browser: Browser, eventful: None) -> None:
    found = browser.probe(800, scripts=False)
    assert found["text"]
    assert found["form_hidden"]
    assert found["wide"] <= found["inner"]


def test_long_names_do_not_burst_the_page(browser: Browser, tmp_path: Path) -> None:
    long = "host" + "x" * 300
    past = PastRun(tmp_path, hosts=(long,), reason="y" * 300)
    past.on(long, lambda host: host.log_on(2, "z" * 200))
    Recorder.pages["/report"] = page(make_report(*past.told))
    found = browser.probe(360)
    assert found["sideways"] == []
    assert found["wide"] <= found["inner"]


@pytest.mark.parametrize("scheme", ["0", "1"], ids=["dark", "light"])
def test_the_page_can_be_pictured(browser: Browser, eventful: None, tmp_path: Path, scheme: str) -> None:
    Recorder.pages["/probe"] = Recorder.pages["/report"]
    picture = tmp_path / "page.png"
    browser.run(f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1200,1600", f"--screenshot={picture}")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.stat().st_size > 50_000
