"""What a host says of a sign-in in its HTTP answer: the next token, or why it did not let us in."""

from __future__ import annotations

import base64
import binascii
import re

from pypsrp.exceptions import AuthenticationError

from mpsbridge.transports.reply import Answer
from mpsbridge.transports.signin.context import AccountRefused

_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z]+)(?=\s|,|$)")


def token_in(answer: Answer, scheme: str) -> bytes | None:
    """The token that the host sent with its answer, if it sent one. Raises ``AuthenticationError``."""
    for value in answer.headers.get("www-authenticate", []):
        for challenge in value.split(","):
            name, _, token = challenge.strip().partition(" ")
            if name.casefold() != scheme.casefold() or not token.strip():
                continue
            try:
                return base64.b64decode(token.strip(), validate=True)
            except (binascii.Error, ValueError) as error:
                raise AuthenticationError("the host's sign-in token is not base64") from error
    return None


def refusal(answer: Answer, scheme: str, *, shown: bool = True, instead: str = "") -> AuthenticationError:
    """Why the host did not let us in, as far as its last answer tells; ``shown``: it may have seen the credential."""
    if answer.status != 401:
        return AuthenticationError(f"the host ended the sign-in before it was complete{instead}")
    offers = sorted({name for value in answer.headers.get("www-authenticate", []) for name in _SCHEME.findall(value)})
    if any(offer.lower() == scheme.lower() for offer in offers) or not offers:
        if scheme == "Kerberos":
            return AuthenticationError(
                "the host refused the ticket: its key is another one, or the clocks differ, or the account may not"
            )
        if not shown:
            return AuthenticationError(f"the host broke the sign-in off{instead}")
        return AccountRefused(f"the host refused the account or the password{instead}")
    return AuthenticationError(f"the host does not offer {scheme}, only {', '.join(offers)}{instead}")
