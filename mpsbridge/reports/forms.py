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


def without_run(form: Form) -> str:
    """What is written where the record holds no run yet: well formed, and without a case or a host."""
    said = "no run in the record"
    if form is Form.JUNIT:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="mpsbridge" tests="0" failures="0" errors="0"/>\n'
        )
    if form is Form.HTML:
        return f'<!doctype html>\n<html lang="en"><title>mpsbridge</title><p>{said}</p></html>\n'
    return f"{said}\n"
