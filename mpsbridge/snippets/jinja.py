"""What Jinja2 makes of a template above its last line: the definitions, with all that it includes.

Rules: sources come from the given folder and from nowhere else; what an expression yields becomes a literal or is
refused. Of each file the digest of the very text that was rendered is told. Where the same sources are to give another
text, :data:`mpsbridge.snippets.kept.FORMAT` changes. Nothing but this file loads Jinja2: what it made is kept, and most
calls need none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jinja2

from mpsbridge.errors import RenderError
from mpsbridge.snippets.kept import Rendered, digest
from mpsbridge.snippets.literals import literal


def rendered(snippet: str, folder: Path) -> Rendered:
    """Render ``<snippet>.ps1.j2`` of the folder but for its last line. Raises ``RenderError``."""
    loader = _Loader(folder)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701 - the output is PowerShell, and finalize escapes for that
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        source, _, _ = loader.get_source(environment, f"{snippet}.ps1.j2")
        head, _, last = source.rstrip("\n").rpartition("\n")
        return Rendered(environment.from_string(head).render().strip("\n"), last, loader.digests)
    except jinja2.TemplateNotFound as error:
        raise RenderError(
            f"the template {error.name!r} is not in {folder}", hint="Install mpsbridge again; a file is missing."
        ) from None
    except jinja2.TemplateError as error:
        raise RenderError(f"the template {snippet!r} cannot be read: {error.message}") from None
    except RecursionError:
        raise RenderError(f"the template {snippet!r} includes itself") from None


class _Loader(jinja2.FileSystemLoader):
    """Confines every name, ``{% include %}`` too, to the folder: a name with ``..`` in it is not found."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.digests: dict[str, str] = {}

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, path, is_up_to_date = super().get_source(environment, template)
        self.digests[template] = digest(source)
        return source, path, is_up_to_date


def _finalize(value: object) -> str:
    if isinstance(value, jinja2.Undefined):
        raise RenderError("the template names a parameter that was not given")
    return literal(value)
