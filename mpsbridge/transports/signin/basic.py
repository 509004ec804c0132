"""Signing in by Basic: user name and password in clear with each message, so it is for TLS."""

from __future__ import annotations

import base64

from mpsbridge.models.credentials import Password
from mpsbridge.models.targets import Target


def header(target: Target) -> str:
    """The ``Authorization`` header of each message. Raises ``TypeError`` for credentials that are not a password."""
    password = target.credentials
    if not isinstance(password, Password):
        raise TypeError("Basic signs in with a password")  # Target.check says it as a sentence
    secret = f"{password.username}:{password.secret.get_secret_value()}".encode()
    return f"Authorization: Basic {base64.b64encode(secret).decode('ascii')}"
