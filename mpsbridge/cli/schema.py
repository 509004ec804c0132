"""``schema``: what answers and files look like, for programs that read them."""

from __future__ import annotations

from mpsbridge.cli.call import Call
from mpsbridge.models.harmless import json_text
from mpsbridge.schemas.catalogue import NAMES, json_schema
from mpsbridge.schemas.offline import SchemaDocument
from mpsbridge.settings import Output


def schema(call: Call, name: str | None) -> int:
    """``schema``: the JSON Schema of that name, or all names."""
    if name is not None:
        call.terminal.raw(json_text(json_schema(name), indent=2) + "\n")
    elif call.settings.output is Output.JSON:
        call.terminal.document(SchemaDocument(command=call.command, names=NAMES).as_json())
    else:
        call.terminal.raw("".join(f"{each}\n" for each in NAMES))
    return 0
