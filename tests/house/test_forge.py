"""What a forge reads: the two short pages, and the workflow that runs the tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

FOLDER = ROOT / ".github"


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda path: path.name)
def test_a_page_is_short_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert all((FOLDER / link).is_file() for link in links)
    assert len(text.splitlines()) < 20


def test_the_workflow_runs_what_ci_runs_with_every_python_that_is_promised() -> None:
    text = (FOLDER / "workflows" / "tests.yml").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ +python: \[(.*)\]$", text, re.MULTILINE)
    told = set(re.findall(r"3\.\d+", line))
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    promised = {found[1] for each in classifiers if (found := re.search(r"Python :: (3\.\d+)$", each))}
    assert promised <= told
    assert re.search(r"^ +- run: .*\.ci/run$", text, re.MULTILINE)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100
