"""What PowerShell makes of literals."""

from __future__ import annotations

import base64


def described(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"bool:{value}"
        case int():
            return f"int:{value}"
        case str():
            return f"text:{base64.b64encode(value.encode()).decode()}"
        case dict():
            pairs = sorted((str(key), described(inner)) for key, inner in value.items())
            return "table:{" + ",".join(f"{key}={inner}" for key, inner in pairs) + "}"
        case list():
            return "list:[" + ",".join(described(inner) for inner in value) + "]"
    raise AssertionError(value)
