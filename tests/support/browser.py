"""A person in front of the dashboard: Debian's Chromium, driven by Playwright, with eyes on everything that goes wrong.

Streamlit draws a page in many small steps and draws parts of it again by themselves, so nothing here looks once: each
reading waits, until a deadline, for what the page is to show.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright, expect
from playwright.sync_api import Error as PlaywrightError

from tests.support.waiting import wait_until

PAGES = ("overview", "runs", "deploy", "traffic", "monitor", "verdict")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000
"""How long a person waits for what a page is to show; two cores serve the browser and all parts of Decant."""
WIDE, NARROW = 1440, 800
HEIGHT = 900
expect.set_options(timeout=PATIENCE_MS)
HEADER_PX, ROW_PX, TICK_PX = 38, 35, 18

# What the console may complain about although nothing is wrong, each with its reason.
KNOWN_ERRORS = {
    # Streamlit finds the base of its address by trying: below /runs it asks there first, then at the root.
    re.compile(r"404 \(Not Found\).*/_stcore/(health|host-config)"),
}

# Panels that nobody may ever see, even for a moment: tracebacks, and app/guard.py's words for an unforeseen error.
WATCH = """
const words = ["met an error it did not expect", "Page not found", "Connection error"]
const look = () => {
  for (const panel of document.querySelectorAll("[data-testid=stException]")) window.decantTrouble(panel.innerText)
  for (const panel of document.querySelectorAll("[data-testid=stAlert], [role=dialog]"))
    if (words.some((w) => panel.innerText.includes(w))) window.decantTrouble(panel.innerText)
}
new MutationObserver(look).observe(document, { childList: true, subtree: true })
"""

# Every layout of the page between two drawings, as the browser paints it: its height and where the charts are.
RECORD = """() => {
  window.decantLayouts = new Set()
  const note = () => {
    const main = document.querySelector("[data-testid=stMain]")
    const charts = [...document.querySelectorAll(".decant-chart")].map((chart) => {
      const box = chart.getBoundingClientRect()
      return [box.x, box.y, box.width, box.height].map(Math.round)
    })
    window.decantLayouts.add(JSON.stringify({ height: main.scrollHeight, charts }))
    requestAnimationFrame(note)
  }
  note()
}"""


# Texts whose contrast with what is behind them is below WCAG's 4.5:1, each with its ratio. Not looked at: what cannot
# be pressed now, icons and marks (graphics), and the value over a slider's handle, which is not on the handle it is in.
FAINT = r"""() => {
  const rgba = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number)
    return text.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a]
  }
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]))
  const light = (color) => {
    const [r, g, b] = color.map((v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const above = (e) => (e ? [e, ...above(e.parentElement)] : [])
  const found = []
  const texts = document.createTreeWalker(
    document.querySelector("[data-testid=stApp]") ?? document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const said = texts.currentNode.textContent.trim(), e = texts.currentNode.parentElement
    const skipped = "canvas, script, style, svg, [disabled], [aria-disabled=true], [data-testid=stIconMaterial]," +
      "[data-testid=stSliderThumbValue]"
    if (!/[\p{L}\p{N}]/u.test(said) || e.closest(skipped) || !e.getBoundingClientRect().width) continue
    if (!e.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true })) continue
    const around = above(e)
    const behind = around.map((n) => rgba(getComputedStyle(n).backgroundColor)).reverse()
    const ground = behind.reduce((below, top) => over(top, below), [255, 255, 255])
    const opaque = around.reduce((product, n) => product * getComputedStyle(n).opacity, 1)
    const [r, g, b, a] = rgba(getComputedStyle(e).color)
    const [high, low] = [light(over([r, g, b, a * opaque], ground)), light(ground)].sort((x, y) => y - x)
    const ratio = (high + 0.05) / (low + 0.05)
    if (ratio < 4.5) found.push(`${said.slice(0, 40)}: ${ratio.toFixed(2)}`)
  }
  return found
}"""


def find_chromium() -> str:
    """Path of the browser. Raises AssertionError with what to do when there is none."""
    found = os.environ.get("DECANT_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    assert found, "no Chromium: `apt install chromium`, or set DECANT_CHROMIUM to one"
    return found


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_ARGUMENTS))


@dataclass
class Visitor:
    """One tab on the dashboard at `address`, and all that went wrong in it."""

    page: Page
    address: str
    console: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    shots: Path | None = None

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.trouble.append(f"uncaught in the page: {error}"))
        self.page.expose_function("decantTrouble", lambda text: self.trouble.append(f"panel: {text}"))
        self.page.add_init_script(WATCH)

    def _note(self, message: ConsoleMessage) -> None:
        line = f"{message.type}: {message.text} ({message.location.get('url', '')})"
        self.console.append(line)
        if message.type == "error" and not any(known.search(line) for known in KNOWN_ERRORS):
            self.trouble.append(line)

    # -- going places --------------------------------------------------------------------------------------------------

    def open(self, page: str, **query: str) -> None:
        """Type the address of a page and wait until it is drawn."""
        tail = f"?{urlencode(query)}" if query else ""
        self.page.goto(f"{self.address}/{'' if page == 'overview' else page}{tail}")
        self.expect_page(page)

    def go(self, page: str) -> None:
        """Follow the link of the navigation bar."""
        self.page.get_by_test_id("stTopNavLinkContainer").get_by_text(page.capitalize(), exact=True).click()
        self.expect_page(page)

    def expect_page(self, page: str) -> None:
        """Wait until the page is drawn."""
        expect(self.page.get_by_role("heading", name=page.capitalize(), level=1)).to_be_visible()
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run and nothing on the page is left from before."""
        expect(self.page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
        expect(self.page.get_by_test_id("stSkeleton")).to_have_count(0)
        expect(self.page.locator("[data-stale=true]")).to_have_count(0)

    def wait_for_refreshes(self, count: int) -> None:
        """Wait until the page has run so many times more by itself."""
        self.page.evaluate(
            """count => new Promise(done => {
                const app = document.querySelector('[data-testid=stApp]');
                new MutationObserver(() => {
                    if (app.dataset.testScriptState === 'notRunning' && --count <= 0) done();
                }).observe(app, {attributeFilter: ['data-test-script-state']});
            })""",
            count,
        )

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def main(self) -> Locator:
        return self.page.get_by_test_id("stMain")

    def see(self, text: str | re.Pattern[str], *, timeout_ms: float = PATIENCE_MS) -> Locator:
        """Wait until `text` is to be seen on the page; returns its first place."""
        place = self.main.get_by_text(text).filter(visible=True).first
        expect(place).to_be_visible(timeout=timeout_ms)
        return place

    def alert(self, text: str | re.Pattern[str], *, timeout_ms: float = PATIENCE_MS) -> Locator:
        """Wait for a message panel with `text`."""
        panel = self.page.get_by_test_id("stAlert").filter(has_text=text).first
        expect(panel).to_be_visible(timeout=timeout_ms)
        return panel

    def metric(self, label: str | re.Pattern[str], nth: int = 0) -> str:
        """The big number under `label`."""
        tile = self.page.get_by_test_id("stMetric").filter(has_text=label).nth(nth)
        return tile.get_by_test_id("stMetricValue").inner_text()

    def table(self, nth: int = 0) -> list[dict[str, str]]:
        """The rows of the page's `nth` table by column title; what is drawn on a canvas is in the page as text, too."""
        grid = self._grid(nth).locator("canvas table")
        expect(grid).to_be_attached()
        titles, *rows = grid.evaluate(
            "t => [...t.rows].map((r) => [...r.cells].map((c) => c.innerText || c.textContent))"
        )
        return [dict(zip(titles, row, strict=True)) for row in rows]

    def _grid(self, nth: int) -> Locator:
        """The `nth` table, not counting those in closed expanders."""
        grid = self.page.get_by_test_id("stDataFrame").filter(visible=True).nth(nth)

        def scrolled() -> bool:
            try:
                grid.scroll_into_view_if_needed()
            except PlaywrightError as error:
                if "not attached" not in error.message:
                    raise
                return False  # drawn anew while it was waited for; the new one is found by the next look
            return True

        wait_until(scrolled, what="the table to stay in its place")
        return grid

    def table_where(self, holds: Callable[[list[dict[str, str]]], bool], nth: int = 0) -> list[dict[str, str]]:
        """The rows of a table once `holds(rows)`; what a table shows comes a moment after what is around it."""
        seen: list[dict[str, str]] = []

        def look() -> bool:
            seen[:] = self.table(nth)
            return holds(seen)

        wait_until(look, timeout_s=PATIENCE_MS / 1000, what="the rows of a table to be as they should")
        return seen

    # -- doing ---------------------------------------------------------------------------------------------------------

    def press(self, name: str, nth: int = 0) -> None:
        """Click the button `name`."""
        self.main.get_by_role("button", name=name, exact=True).nth(nth).click()

    def choose(self, name: str) -> None:
        """Click `name` in a row of alternatives."""
        self.page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).click()
        self.settle()

    def unfold(self, title: str) -> None:
        """Open the expander `title`."""
        self.main.get_by_test_id("stExpander").get_by_text(title, exact=True).click()
        self.settle()

    def fill(self, label: str, value: str, nth: int = 0) -> None:
        """Type into the field `label`, text or number."""
        text = self.main.get_by_role("textbox", name=label, exact=True)
        place = text.or_(self.main.get_by_role("spinbutton", name=label, exact=True)).nth(nth)
        place.fill(value)
        place.press("Tab")

    def tick(self, row: int, nth: int = 0) -> None:
        """Tick a row of a table: its boxes are painted on a canvas, so by place."""
        grid = self._grid(nth).locator(".dvn-scroller")  # it lies on the canvas
        grid.click(position={"x": TICK_PX, "y": HEADER_PX + ROW_PX * row + ROW_PX // 2})
        self.settle()

    # -- layout --------------------------------------------------------------------------------------------------------

    def overflow_px(self) -> int:
        """By how much the page is wider than its window."""
        measured = self.page.evaluate(
            """() => [document.documentElement, document.querySelector("[data-testid=stMain]")]
                .map((e) => e.scrollWidth - e.clientWidth)"""
        )
        return int(max(measured))

    def faint_texts(self) -> list[str]:
        """The texts that cannot be read well on what is behind them; [] is what should be."""
        found: list[str] = self.page.evaluate(FAINT)
        return found

    def expect_charts_to_fit(self) -> None:
        """Wait until every chart is as wide as its place; Plotly fits them a moment after the window has changed."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll(".decant-chart")].every((place) => {
                const drawn = place.querySelector(".main-svg")
                return drawn && Math.abs(drawn.getBoundingClientRect().width - place.clientWidth) <= 1
            })"""
        )

    def shoot(self, name: str) -> None:
        """Keep pictures of the whole page, light and dark, wide and narrow, when DECANT_SHOTS names a folder.

        The theme is switched under the open page, so that what was typed stays: dots of the arms, which the server
        colours, follow only at its next run.
        """
        if self.shots is None:
            return
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            for width in (WIDE, NARROW):
                self.page.set_viewport_size({"width": width, "height": HEIGHT})
                self.settle()
                height = self.main.evaluate("e => e.scrollHeight")
                self.page.set_viewport_size({"width": width, "height": max(HEIGHT, int(height))})
                self.settle()
                self.expect_charts_to_fit()
                self.page.screenshot(path=self.shots / f"{name}-{width}-{scheme}.png", animations="disabled")
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size({"width": WIDE, "height": HEIGHT})
        self.settle()
