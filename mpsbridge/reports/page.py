"""A report as one HTML page that needs nothing else: no network, no script, no colour to be understood.

Rules: the page's policy (CSP) allows nothing but its own style and its own script, by their hashes; every value passes
:func:`~mpsbridge.reports.words.plain` and Jinja2's escaping, by construction and not by the template's care; the
template, style and script are the files beside this one.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from mpsbridge.reports import words
from mpsbridge.reports.report import Fate, Report
from mpsbridge.reports.timeline import timeline
from mpsbridge.version import __version__

HERE = Path(__file__).resolve().parent


def page(report: Report) -> str:
    """The whole run; ends in a line end."""
    style, script = _asset("page.css"), _asset("page.js")
    return _template().render(
        report=report,
        hosts=[(f"h{place}", host, timeline(host)) for place, host in enumerate(report.hosts, 1)],
        facts=list(words.facts_of(report)),
        shared={text: names for text, names in words.remarks_of(report).items() if len(names) > 1},
        words=words,
        Fate=Fate,
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        version=__version__,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else words.plain(value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2")


@cache
def _asset(name: str) -> Markup:
    """A file of ours, as it stands in the page."""
    return Markup((HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of this package


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
