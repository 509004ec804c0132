"""Whether the extra ``kerberos`` is installed, and what to do where it is missing. Loads none of its libraries."""

from __future__ import annotations

import importlib.util

from mpsbridge.once import once

KERBEROS_EXTRA = (
    "Install the extra for Kerberos: pip install 'mpsbridge[kerberos]' "
    "(built from source; on Debian first apt-get install libkrb5-dev gcc python3-dev)."
)
"""What to do where it is missing."""


@once
def has_kerberos() -> bool:
    """Whether the extra ``kerberos`` is installed."""
    return importlib.util.find_spec("gssapi") is not None
