"""The page: it stands alone, says every number, and shows names as they are."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.report import synthetic
from thalweg.report import write_report
from thalweg.report._page import compact, embedded
from thalweg.report._sections import sections, slug
from thalweg.report._table import cost_text, groups

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"' onload=alert(1) {{ 7*7 }} $x$ %{x}",
]


class Page(HTMLParser):
    """The elements of a page, the text of its scripts, and its visible words."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.words, self._inside = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style", "title"):
            self._inside.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(written):
    return Page((written / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report in which everything that a user may name is an attack."""
    first, second, third = HOSTILE
    item = synthetic.measurement(first)
    accuracy = item.train.metrics["accuracy"]
    item = replace(
        item,
        train=replace(item.train, metrics={second: accuracy, "accuracy": accuracy}),
        line=replace(item.line, label=first),
        surface=replace(item.surface, labels=(first, second)),
    )
    link = synthetic.connection(first, second)
    link = replace(link, path=replace(link.path, metrics={first: link.path.metrics["accuracy"]}, kind=second))
    found = replace(
        synthetic.findings(second),
        measurements=(item, synthetic.measurement(second), synthetic.measurement(third, bare=True)),
        connections=(link,),
        configuration={first: second, "batch_norm": third},
        versions={second: first},
    )
    return write_report(found, tmp_path_factory.mktemp("hostile") / "report").parent


def test_the_page_asks_for_nothing(page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            value = attributes.get(name) or ""
            inside = not value or value.startswith(("#", "data:", "figures/")) or value == "results.json"
            assert inside, f"<{tag} {name}={value[:80]!r}>"
    style = next(e for e in page.elements if e[0] == "style")
    assert style
    assert "@import" not in " ".join(page.words)


def test_the_policy_lets_nothing_run_but_the_two_scripts(page):
    policy = next(
        a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    script = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "unsafe" not in script
    data, *run = page.scripts
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert [f"'sha256-{digest}'" for digest in hashes] == script.split()[1:]
    assert json.loads(data)["figures"]


def test_every_figure_of_the_page_has_data_a_picture_and_files(page, written, four):
    data = json.loads(page.scripts[0])
    plots = [a["id"] for t, a in page.elements if t == "div" and a.get("class") == "plot"]
    assert plots
    assert set(plots) == set(data["figures"])
    assert str(len(plots)) == next(a for t, a in page.elements if t == "html")["data-expected"]
    pictures = [a for t, a in page.elements if t == "img"]
    assert len(pictures) == sum(len(section.figures) for section in sections(four))
    for picture in pictures:
        assert base64.b64decode(picture["src"].partition(",")[2]).lstrip().startswith(b"<?xml")
    links = [a["href"] for t, a in page.elements if t == "a" and a["href"].endswith((".svg", ".png"))]
    assert all((written / link).exists() for link in links)
    assert all("template" not in figure["layout"] for figure in data["figures"].values())
    assert set(data["templates"]) == {"light", "dark"}


def test_the_first_screen_answers_five_questions(page):
    for question in (
        "Has training converged, and is this a minimum?", "How sharp is it?", "How many directions matter?",
        "Are the solutions connected?", "How far can this be trusted?",
    ):  # fmt: skip
        assert question in page.text
    assert page.text.index("How far can this be trusted?") < page.text.index("All numbers Each value")


def test_every_figure_has_a_sentence_that_says_how_to_read_it(page, four):
    for section in sections(four):
        assert section.reading.endswith(".")
        assert section.reading in page.text.replace("\xa0", " ")


def test_configuration_versions_and_seeds_are_there(page, four):
    for key, value in four.configuration.items():
        assert key.replace("_", " ") in page.text
        assert value is None or str(value) in page.text
    for name, version in four.versions.items():
        assert name in page.text
        assert version in page.text
    assert "double-backward" in page.text


def test_nothing_raw_reaches_the_reader(page, one, tmp_path):
    for text in (page.text, Page(write_report(one, tmp_path / "report").read_text(encoding="utf-8")).text):
        raw = re.compile(r"\b(None|nan|NaN|inf|tensor|Estimate|True|False)\b|\de[+-]\d|\{[{%]")
        found = raw.search(text)
        assert found is None, text[max(found.start() - 60, 0) : found.end() + 60]


def test_one_measurement_has_no_empty_section(one):
    found = sections(one)
    assert [section.anchor for section in found] == ["spectrum", "density", "line"]
    assert all(section.figures for section in found)


def test_more_reliefs_than_a_browser_can_hold_are_pictures(four):
    many = replace(four, measurements=four.measurements[:1] * 14)
    reliefs = [figure for section in sections(many) for figure in section.figures if figure.webgl]
    assert [figure.interactive for figure in reliefs] == [True] * 10 + [False] * 4


def test_names_are_words_and_never_markup(hostile):
    text = (hostile / "index.html").read_text(encoding="utf-8")
    parsed = Page(text)
    for attack in HOSTILE:
        assert attack.replace("\n", " ") in parsed.text.replace("\xa0", " ")
    assert len([t for t, _ in parsed.elements if t == "script"]) == 3
    assert not [a for t, a in parsed.elements if t == "img" and a.get("src") == "x"]
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert "49" not in re.findall(r"onload=alert\(1\) (\S+)", parsed.text)


def test_data_cannot_leave_its_script_element(hostile):
    data = Page((hostile / "index.html").read_text(encoding="utf-8")).scripts[0]
    assert not set("<>&") & set(data)
    labels = json.dumps(json.loads(data)["figures"])
    assert "<script" not in labels
    assert "<img" not in labels
    assert "&lt;img" in labels


@pytest.mark.parametrize("value", [*HOSTILE, "<!--", "]]>", "&amp;", "\u2028", "löß"])
def test_embedded_data_come_back_as_they_were(value):
    assert json.loads(embedded({value: [value]})) == {value: [value]}
    assert "<" not in embedded(value)


def test_file_names_are_safe(hostile):
    names = [p.name for p in (hostile / "figures").iterdir()]
    assert names
    assert all(re.fullmatch(r"[a-z0-9-]{1,120}\.(png|svg)", name) for name in names)
    assert slug("CON") == "con"
    assert slug("x" * 500) == "x" * 40
    assert slug("a" * 39 + " b") == "a" * 39


def test_a_page_picture_loses_only_what_nobody_sees():
    path = b'<path transform="scale(0.015625)" d="M 1.23456 -7.5 \nL 3 4.999\n" style="fill: none"/>'
    svg = b"<svg>\n <!-- a note -->\n <metadata>\n who\n </metadata>\n " + path + b"\n</svg>"
    assert (
        compact(svg) == b'<svg><path transform="scale(0.015625)" d="M 1.23 -7.5 L 3 4.99 " style="fill: none"/></svg>'
    )


def test_the_table_has_every_number_with_error_and_cost(four):
    rows = {row.label: row for group in groups(four.measurements) for row in group.rows}
    trace = rows["trace of the Hessian"].cells[0]
    assert trace.value == "182.0 ± 7.6"
    assert trace.details == ("20 products, 1.3 s",)
    assert rows["training loss"].cells[0].details[0] == "data ± 0.0021"
    assert rows["largest eigenvalue λ₁"].cells[0].details == ("20 eigenvalues: 88 products, 5.4 s",)
    assert rows["outliers"].cells[3].value == "no gap"
    assert rows["gain of one gradient step"].cells[0].details[0].startswith("model −")


def test_what_is_missing_in_one_is_a_dash_and_in_all_no_row(one):
    bare = one.measurements[0]
    both = [synthetic.measurement(), bare]
    rows = {row.label: row for group in groups(both) for row in group.rows}
    assert rows["test accuracy"].cells[1].value is None
    assert "test accuracy" not in {row.label for group in groups([bare]) for row in group.rows}
    assert "effective condition number" not in rows


def test_what_is_unsure_is_marked_in_the_table():
    item = synthetic.measurement(largest=24.6, smallest=0.5)
    item = replace(
        item, top=replace(item.top, complete=False, converged=~item.top.converged),
        trace=replace(item.trace, converged=False), negative=replace(item.negative, count=0, exhaustive=False),
        anisotropy=replace(item.anisotropy, shares=None, p_values=None), step=None,
    )  # fmt: skip
    rows = {row.label: row.cells[0] for group in groups([item]) for row in group.rows}
    assert rows["largest eigenvalue λ₁"].details[:2] == ("not converged", "copies may be missing")
    assert rows["trace of the Hessian"].details[0] == "accuracy asked for not reached"
    assert rows["negative eigenvalues"].value == "none in 5"
    assert "gradient in leading eigenvectors" not in rows
    assert "gain of one gradient step" not in rows


def test_costs_are_words():
    from thalweg.estimate import Cost

    assert cost_text(Cost(1, 2, 1, 0.0)) == "1 product, 2 gradients, 1 loss pass"
    assert cost_text(Cost(0, 0, 1200, 75.0)) == "1,200 loss passes, 1 min 15 s"
    assert cost_text(Cost()) == ""
