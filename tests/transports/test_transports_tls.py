"""Over TLS nothing is sent before the certificate has been verified: who issued it, for whom and when."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from support.rude_host import SCRIPT, RudeHost

from mpsbridge.errors import CertificateRefused, NotSent, Unreachable
from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport

DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass
class Issuer:
    """Who signs: an authority, or somebody whose certificate does not allow it."""

    may_sign: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    name: x509.Name = field(default_factory=lambda: named("Example CA"))

    def own(self) -> bytes:
        """Its own certificate, PEM."""
        builder = begin(self.name, self.name, self.key, 30 * DAY).add_extension(
            x509.BasicConstraints(ca=self.may_sign, path_length=None), critical=True
        )
        return pem(builder.sign(self.key, hashes.SHA256()))


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def begin(
    subject: x509.Name, issuer: x509.Name, key: Key, until: timedelta, since: timedelta = -2 * DAY
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
    )


def host_certificate(
    issuer: Issuer,
    alternative: x509.GeneralName | None,
    until: timedelta = 10 * DAY,
    since: timedelta = -2 * DAY,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    key: Key | None = None,
) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = begin(named("127.0.0.1"), issuer.name, key, until, since)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if alternative is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
    return pem(builder.sign(issuer.key, hashes.SHA256())) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


HERE = x509.IPAddress(ip_address("127.0.0.1"))
Make = Callable[[Issuer], bytes]
REFUSED: dict[str, tuple[Make, str]] = {
    "expired": (lambda ca: host_certificate(ca, HERE, until=-DAY), "expired"),
    "not-valid-yet": (lambda ca: host_certificate(ca, HERE, since=DAY), "not yet valid"),
    "another-address": (lambda ca: host_certificate(ca, x509.IPAddress(ip_address("127.0.0.2"))), "not valid for"),
    "another-name": (lambda ca: host_certificate(ca, x509.DNSName("ts1.example.org")), "not valid for"),
    "address-as-a-name": (lambda ca: host_certificate(ca, x509.DNSName("127.0.0.1")), "not valid for"),
    "any-name": (lambda ca: host_certificate(ca, x509.DNSName("*")), "not valid for"),
    "only-the-common-name": (lambda ca: host_certificate(ca, None), "not valid for"),
    "for-clients": (lambda ca: host_certificate(ca, HERE, usage=ExtendedKeyUsageOID.CLIENT_AUTH), "purpose"),
    "another-authority": (lambda _: host_certificate(Issuer(), HERE), "certificate"),
    "the-same-authority's-name": (lambda ca: host_certificate(Issuer(name=ca.name), HERE), "certificate"),
    "self-signed": (lambda _: host_certificate(Issuer(name=named("127.0.0.1")), HERE), "certificate"),
    "short-key": (
        lambda ca: host_certificate(ca, HERE, key=rsa.generate_private_key(65537, 1024)),  # noqa: S505 - the point
        "key too weak",
    ),
}


@dataclass
class TlsHost:
    """Shows a certificate, then keeps what a client says first."""

    certificate: Path
    heard: bytes = b""
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    def behave(self, connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")  # so that it can show what a client must not take
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = self.newest
        context.load_cert_chain(self.certificate)
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                self.heard = secure.recv(65536)
        except ssl.SSLError:
            pass  # the client has left in the middle of the handshake, as it should


def try_it(shown: TlsHost, ca_file: Path) -> NotSent:
    with RudeHost(shown.behave) as host:
        target = Target(
            host="rude",
            address="127.0.0.1",
            port=host.port,
            auth=Auth.BASIC,
            credentials=Password("alice", "secret"),
            ca_file=ca_file,
        )
        with pytest.raises(NotSent) as refused:
            open_transport(target).run(SCRIPT, timeout_s=5)
        assert refused.value.may_have_run is False
        return refused.value


@pytest.mark.parametrize("name", REFUSED)
def test_a_certificate_that_proves_nothing_is_refused_and_nothing_is_said_to_that_host(
    name: str, tmp_path: Path
) -> None:
    authority = Issuer()
    make, words = REFUSED[name]
    shown, ca_file = TlsHost(tmp_path / "host.pem"), tmp_path / "ca.pem"
    shown.certificate.write_bytes(make(authority))
    ca_file.write_bytes(authority.own())
    error = try_it(shown, ca_file)
    assert type(error) is CertificateRefused
    assert words in str(error)
    assert shown.heard == b""


def test_who_may_not_sign_vouches_for_nobody(tmp_path: Path) -> None:
    """A host's own certificate, signed by a trusted authority, signs one for another host."""
    authority, host = Issuer(), Issuer(may_sign=False, name=named("ts9.example.org"))
    builder = begin(host.name, authority.name, host.key, 10 * DAY).add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    between = pem(builder.sign(authority.key, hashes.SHA256()))
    shown, ca_file = TlsHost(tmp_path / "host.pem"), tmp_path / "ca.pem"
    shown.certificate.write_bytes(host_certificate(host, HERE) + between)
    ca_file.write_bytes(authority.own())
    assert type(try_it(shown, ca_file)) is CertificateRefused
    assert shown.heard == b""


@pytest.mark.parametrize("newest", ["TLSv1", "TLSv1_1"])
def test_old_tls_is_not_spoken(newest: str, tmp_path: Path) -> None:
    authority = Issuer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        shown = TlsHost(tmp_path / "host.pem", newest=ssl.TLSVersion[newest])
    ca_file = tmp_path / "ca.pem"
    shown.certificate.write_bytes(host_certificate(authority, HERE))
    ca_file.write_bytes(authority.own())
    assert isinstance(try_it(shown, ca_file), Unreachable)
    assert shown.heard == b""


def test_a_sound_certificate_is_taken(tmp_path: Path) -> None:
    """The other tests would mean nothing if this host were refused, too."""
    authority = Issuer()
    shown, ca_file = TlsHost(tmp_path / "host.pem"), tmp_path / "ca.pem"
    shown.certificate.write_bytes(host_certificate(authority, HERE))
    ca_file.write_bytes(authority.own())
    error = try_it(shown, ca_file)
    assert not isinstance(error, CertificateRefused)
    assert shown.heard.startswith(b"POST /wsman")
