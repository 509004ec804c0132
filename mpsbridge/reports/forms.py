"""The forms that a report is written in."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from mpsbridge.reports.junit import junit_xml
from mpsbridge.reports.markdown import markdown
from mpsbridge.reports.page import page
from mpsbridge.reports.plain import plain_text
from mpsbridge.reports.report import Report, report_json


class Form(StrEnum):
    """What a report is written as."""

    HTML = "html"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    TEXT = "text"


WRITERS: dict[Form, Callable[[Report], str]] = {
    Form.HTML: page,
    Form.JSON: report_json,
    Form.JUNIT: junit_xml,
    Form.MARKDOWN: markdown,
    Form.TEXT: plain_text,
}
