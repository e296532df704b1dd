"""``index.html``: one file that needs no network and runs no script but its own."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from thalweg.figures import template
from thalweg.figures._extra import load
from thalweg.figures._numbers import duration, thousands
from thalweg.figures._palette import series
from thalweg.report._method import configuration, methods, provenance
from thalweg.report._sections import Section
from thalweg.report._table import groups
from thalweg.report._verdicts import verdicts
from thalweg.study._results import Findings


def render(findings: Findings, sections: tuple[Section, ...], pictures: Mapping[str, bytes]) -> str:
    """Return the page.

    Whatever users name is escaped: by jinja2 in the markup, by :func:`embedded` in the data, by the
    figures in their labels. The content security policy names the two scripts by their hashes, so
    that no other one would run, and forbids every request.

    Args:
        findings: What it shows.
        sections: Its figures.
        pictures: The SVG of each figure by its stem, for print and where there is no script.
    """
    jinja2 = load("jinja2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["series"] = series
    environment.filters["tie"] = _tie
    markup = load("markupsafe").Markup
    plotly, behaviour, style = load("plotly.offline").get_plotlyjs(), _asset("behaviour.js"), _asset("style.css")
    figures = {
        figure.stem: json.loads(_without_template(figure.screen()).to_json())
        for section in sections
        for figure in section.figures
        if figure.interactive
    }
    data = {"figures": figures, "templates": {mode: template(mode) for mode in ("light", "dark")}}
    page: str = environment.from_string(_asset("template.html")).render(
        behaviour=markup(behaviour),
        configuration=configuration(findings),
        data=markup(embedded(data)),
        duration=duration(findings.seconds),
        expected=len(figures),
        findings=findings,
        groups=groups(findings.measurements),
        methods=methods(findings),
        pictures={stem: base64.b64encode(compact(svg)).decode() for stem, svg in pictures.items()},
        plotly=markup(plotly),
        policy=_policy(plotly, behaviour),
        provenance=provenance(findings),
        samples=_samples(findings),
        sections=sections,
        style=markup(style),
        verdicts=verdicts(findings),
    )
    return page


def embedded(data: Any) -> str:
    r"""Write JSON that cannot leave the script element it stands in, whatever strings it holds.

    Example:
        >>> print(embedded("</script>"))
        "\u003c/script\u003e"
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def compact(svg: bytes) -> bytes:
    """Take from an SVG what nobody sees: metadata, comments, and coordinates beyond a hundredth of a point."""
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg.decode(), flags=re.DOTALL)
    text = re.sub(r' d="[^"]*"', lambda path: " " + re.sub(r"(\.\d\d)\d+", r"\1", " ".join(path[0].split())), text)
    return re.sub(r">\s+<", "><", text).encode()


def _tie(text: str) -> str:
    # No line ends between a number and what belongs to it.
    return text.replace("± ", "±\u00a0").replace(" ±", "\u00a0±").replace(" %", "\u00a0%").replace("≥ ", "≥\u00a0")


def _without_template(figure: Any) -> Any:
    # The page has both templates once, and sets the one of its mode.
    figure.layout.template = None
    return figure


def _asset(name: str) -> str:
    return resources.files("thalweg.report").joinpath(name).read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # Plotly writes style attributes, draws relief labels on canvases, and offers pictures for download.
    rest = "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


def _samples(findings: Findings) -> str:
    counts = sorted({item.train.samples for item in findings.measurements})
    sizes = sorted({item.size for item in findings.measurements})
    points = len(findings.measurements)
    parts = [f"{points} point{'' if points == 1 else 's'}", f"{' and '.join(map(thousands, sizes))} parameters"]
    if counts and counts != [0]:
        parts.append(f"{' and '.join(map(thousands, counts))} data items")
    return " · ".join(parts)
