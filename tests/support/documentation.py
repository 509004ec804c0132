"""README and the pages of ``mpsbridge docs``, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

from mpsbridge.cli.docs import PAGES, page

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {"README": README} | {name: page(name) for name in PAGES}
"""By name, README first."""
CURRENT = "\n\n".join(text for name, text in TEXTS.items() if name != "changes")
"""All but what once was so."""
ALL = f"{CURRENT}\n\n{TEXTS['changes']}"


def blocks(text: str, language: str = r"\w*") -> list[str]:
    """The code blocks of a text, or those of one language alone."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def the_block(text: str, language: str, holding: str) -> str:
    """The only block of that language that holds those words."""
    (found,) = [block for block in blocks(text, language) if holding in block]
    return found
