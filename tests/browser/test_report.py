"""The report in a browser, without Decant: on a phone and on a desk, light and dark, and on paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from services.verdict.model import Assessment
from services.verdict.report import render_report
from tests.support.browser import FAINT, HEIGHT, NARROW, WIDE
from tests.support.verdicts import EXAMPLES

PHONE = 390
GROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 20, 22)"}

BROKEN = r"""() => {
  const broken = [], texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const node = texts.currentNode
    if (node.parentElement.closest("pre, svg")) continue  // a query is code, and may be broken anywhere
    for (const found of node.textContent.matchAll(/[\p{L}\p{N}][\p{L}\p{N}.,]*/gu)) {
      const range = document.createRange()
      range.setStart(node, found.index)
      range.setEnd(node, found.index + found[0].length)
      if (new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size > 1) broken.push(found[0])
    }
  }
  return broken
}"""


def shown(browser: Browser, make: Callable[[], Assessment], width: int, scheme: Literal["light", "dark"]) -> Page:
    page = browser.new_page(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    page.set_content(render_report(make()))
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW, PHONE])
@pytest.mark.parametrize("make", EXAMPLES.values(), ids=EXAMPLES)
def test_it_fits_breaks_no_word_and_can_be_read(
    chromium: Browser, make: Callable[[], Assessment], width: int, scheme: Literal["light", "dark"]
) -> None:
    page = shown(chromium, make, width, scheme)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0
    assert page.evaluate(BROKEN) == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == GROUND[scheme]
    page.close()


def test_on_paper_it_is_light_whatever_the_reader_likes(chromium: Browser) -> None:
    page = shown(chromium, EXAMPLES["ship"], WIDE, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == GROUND["light"]
    curve = page.locator("svg polyline").first
    assert curve.evaluate("e => getComputedStyle(e).stroke") == "rgb(200, 150, 62)"
    page.close()
