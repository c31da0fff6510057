"""The page of the lecture: headings, alternative texts, contrast; and in a browser, at two widths.

With FANIN_SCREENSHOTS set to a folder, each chapter's picture at each width is left there.
"""

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fanin.document.html import STYLE

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Outline(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.levels, self.alts, self.scopes, self.language = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "img":
            self.alts.append(attrs.get("alt", ""))
        if tag == "th":
            self.scopes.append(attrs.get("scope"))
        if tag == "html":
            self.language = attrs.get("lang")


def test_headings_go_down_by_one_and_every_picture_is_told(told):
    outline = Outline((told.folder / "lecture.html").read_text(encoding="utf-8"))
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    steps = zip(outline.levels, outline.levels[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)
    assert len(set(outline.alts)) == len(outline.alts)
    assert all(len(alt) > 20 for alt in outline.alts)
    assert set(outline.scopes) == {"col"}
    assert outline.language == "en"


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    palettes = re.findall(r":root \{([^}]*)\}", STYLE)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", palettes[scheme]))
    for text in ("ink", "soft", "mark"):
        for ground in ("paper", "box"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_in_a_browser(told, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto((told.folder / "lecture.html").as_uri())
    across = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(across) == 0
    narrow = [
        image.get_attribute("srcset") for image in page.query_selector_all("picture > source")
    ]
    shown = [
        image.evaluate("e => e.currentSrc") for image in page.query_selector_all("picture > img")
    ]
    assert len(narrow) >= 15
    assert [a == b for a, b in zip(narrow, shown, strict=True)] == [width == 400] * len(narrow)
    if folder := os.environ.get("FANIN_SCREENSHOTS"):
        for section in page.query_selector_all("main > section"):
            name = f"{section.get_attribute('id')}-{width}-{scheme}.png"
            section.screenshot(path=str(Path(folder, name)))
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []
    context.close()
