"""What binds a sign-in to the TLS connection that it comes over, so that nobody in between can pass it on."""

from __future__ import annotations

import contextlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from spnego.channel_bindings import GssChannelBindings


def channel_bindings(certificate: bytes) -> GssChannelBindings:
    """What binds a sign-in to this TLS connection (RFC 5929, section 4.1).

    The hash is the one of the certificate's own signature, but SHA-256 in place of MD5 and SHA-1, and (our choice,
    the RFC names none) where the signature uses none or one unknown here.
    """
    algorithm: hashes.HashAlgorithm | None = None
    with contextlib.suppress(UnsupportedAlgorithm, ValueError):  # ValueError: it cannot even be read (--insecure-tls)
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if algorithm is None or algorithm.name in {"md5", "sha1"}:
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())
