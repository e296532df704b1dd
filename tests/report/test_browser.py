"""The page in a browser: nothing to complain about, nothing asked of the network, every figure drawn."""

import base64
import os
from dataclasses import replace

import pytest

from tests.report import chromium, synthetic
from thalweg.report import write_report

pytestmark = pytest.mark.browser

HARMLESS = ("willReadFrequently", "GL Driver Message", "GPU stall")
"""Hints on speed that a software renderer gives; they say nothing about the page."""


@pytest.fixture(scope="module")
def browser():
    binary = chromium.find()
    if binary is None:
        message = f"no browser: none of {', '.join(chromium.NAMES)} is installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with chromium.Browser(binary) as running:
        yield running


def complaints(browser):
    return [text for text in browser.complaints() if not any(word in text for word in HARMLESS)]


DRAWN = """
[...document.querySelectorAll(".plot")].map((node) => {
  const box = node.getBoundingClientRect();
  const canvas = node.querySelector("canvas");
  return {
    id: node.id, width: box.width, height: box.height, layers: node.querySelectorAll(".main-svg").length,
    marks: node.querySelectorAll(".trace path, .point path, .contourlayer path, .plot .points path").length,
    relief: "webgl" in node.dataset, canvas: canvas ? canvas.width * canvas.height : 0,
  };
})
"""


def assert_drawn(browser, width):
    figures = browser.evaluate(DRAWN)
    state = browser.evaluate("({...document.documentElement.dataset})")
    assert len(figures) == int(state["expected"]) == int(state["figures"]), state
    assert state["failed"] == "0"
    for figure in figures:
        assert figure["width"] > 200, figure
        assert figure["height"] > 100, figure
        assert figure["layers"] >= 1, figure
        assert (figure["canvas"] > 10_000) if figure["relief"] else (figure["marks"] > 0), figure
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints(browser) == []
    assert browser.requests() == []


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The folder of a report on one measurement with a surface: all that there is to draw, but little of it."""
    found = replace(synthetic.single(), measurements=(synthetic.measurement("small"),))
    return write_report(found, tmp_path_factory.mktemp("small") / "report").parent


def test_a_laptop_shows_every_figure_and_the_answers_at_once(browser, written):
    browser.events.clear()
    browser.open(written / "index.html", width=1440, height=900)
    assert_drawn(browser, 1440)
    bottoms = browser.evaluate(
        "[...document.querySelectorAll('.verdict .sentence')].map((node) => node.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 5
    assert max(bottoms) <= 900


@pytest.mark.parametrize(("width", "dark"), [(768, False), (360, True)])
def test_a_narrow_screen_shows_every_figure(browser, small, width, dark):
    browser.events.clear()
    browser.open(small / "index.html", width=width, dark=dark)
    assert_drawn(browser, width)


def test_one_bare_measurement_makes_a_whole_page(browser, one, tmp_path):
    browser.events.clear()
    browser.open(write_report(one, tmp_path / "report"), width=360)
    assert_drawn(browser, 360)


def test_the_figures_follow_the_colours_of_the_page(browser, small):
    browser.open(small / "index.html")
    ink = "getComputedStyle(document.querySelector('#density-01-small .xtick text')).fill"
    page = "getComputedStyle(document.body).backgroundColor"
    light = browser.evaluate(ink), browser.evaluate(page)
    browser.evaluate("document.querySelector('.toggle').click()")
    browser.wait(f"{ink} !== {light[0]!r}")
    assert browser.evaluate(page) != light[1]
    browser.evaluate("document.querySelector('.toggle').click()")
    browser.wait(f"{ink} === {light[0]!r}")
    browser.evaluate("localStorage.clear()")


def test_print_shows_light_pictures_instead(browser, small):
    browser.open(small / "index.html", dark=True)
    try:
        browser.page("Emulation.setEmulatedMedia", media="print")
        assert browser.evaluate("getComputedStyle(document.querySelector('.plot')).display") == "none"
        shown = "[...document.querySelectorAll('.picture')].every((n) => n.getBoundingClientRect().width > 100)"
        assert browser.evaluate(shown)
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        browser.page("Emulation.setEmulatedMedia", media="")
    pdf = base64.b64decode(browser.page("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
    assert pdf.startswith(b"%PDF")


def test_without_webgl_the_reliefs_are_pictures(browser, small):
    browser.events.clear()
    script = """{
      const get = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind.startsWith("webgl") ? null : get.call(this, kind, ...rest);
      };
    }"""
    added = browser.page("Page.addScriptToEvaluateOnNewDocument", source=script)
    try:
        browser.open(small / "index.html")
    finally:
        browser.page("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
    hidden = """[...document.querySelectorAll(".plot[data-webgl]")].every(
      (node) => node.hidden && node.parentElement.querySelector(".picture").offsetHeight > 100
    )"""
    assert browser.evaluate(hidden)
    assert browser.evaluate("document.documentElement.dataset.failed") == "0"
    assert complaints(browser) == []


def test_a_hostile_name_does_nothing_and_is_shown(browser, tmp_path):
    browser.events.clear()
    attack = "</script><script>window.attacked = 1</script><img src=x onerror='window.attacked = 1'>"
    item = synthetic.measurement(attack)
    item = replace(item, surface=replace(item.surface, labels=(attack, attack)), line=replace(item.line, label=attack))
    found = replace(
        synthetic.findings(attack), measurements=(item, synthetic.measurement(attack + "2")),
        configuration={attack: attack},
        connections=(synthetic.connection(attack, attack),),
    )  # fmt: skip
    folder = write_report(found, tmp_path / "report").parent
    browser.open(folder / "index.html")
    assert_drawn(browser, 1440)
    assert browser.evaluate("window.attacked") is None
    assert browser.evaluate("document.querySelector('h1').textContent") == attack
    assert browser.evaluate("document.title") == attack
    tick = browser.evaluate("document.querySelector('#measures-01-sharpness .ytick text').textContent")
    assert tick.startswith("</script><script>")
