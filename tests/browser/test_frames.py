"""Whether another site can show the dashboard in a frame, in a real browser, and what headers its answers carry."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from services.settings import Settings
from tests.support.dashboard_process import dashboard
from tests.support.waiting import wait_until

PATHS = ("/", "/deploy", "/_stcore/health", "/_stcore/host-config", "/media/none.png", "/static/none.js")


class Site(ThreadingHTTPServer):
    """Another site. It answers `/?ADDRESS` with a page that shows ADDRESS in a frame."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Framing)
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Framing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = f"<iframe name=framed src={self.path.partition('?')[2]} width=900 height=700></iframe>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A dashboard as it is if nobody says otherwise."""
    with dashboard(tmp_path_factory.mktemp("closed"), {}) as settings:
        yield settings


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def test_every_answer_says_that_nobody_may_frame_it(closed: Settings) -> None:
    for path in PATHS:
        headers = httpx.get(f"{closed.dashboard_url}{path}", timeout=10).headers
        assert headers["content-security-policy"] == "frame-ancestors 'none'", path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin", path


def test_another_site_cannot_show_the_dashboard(closed: Settings, site: Site, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{site.address}/?{closed.dashboard_url}/")
    wait_until(lambda: page.wait_for_timeout(50) or any("frame-ancestors 'none'" in text for text in said))
    expect(page.frame_locator("iframe").get_by_test_id("stApp")).to_have_count(0)


def test_a_site_that_is_named_can(site: Site, page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    with dashboard(tmp_path_factory.mktemp("open"), {"frame_ancestors": site.address}) as settings:
        page.goto(f"{site.address}/?{settings.dashboard_url}/")
        expect(page.frame_locator("iframe").get_by_role("heading", name="Overview")).to_be_visible()
        other = site.address.replace("127.0.0.1", "localhost")  # the same server, and another site
        page.goto(f"{other}/?{settings.dashboard_url}/")
        expect(page.frame_locator("iframe").get_by_test_id("stApp")).to_have_count(0)
