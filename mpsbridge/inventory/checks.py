"""What could not work on any host, checked once for all hosts of a call before any of them is contacted.

Rule: what goes with which credential says the credential (:meth:`~mpsbridge.models.targets.Target.check`); here it is
only asked, together with what this machine must have: the CA files, the key tables, the library for Kerberos.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from mpsbridge.errors import CertificateRefused, SettingsError
from mpsbridge.models.credentials import NAME_BOTH, Auth, KeyTable, Password, Ticket
from mpsbridge.models.targets import Target
from mpsbridge.transports.signin.extra import KERBEROS_EXTRA, has_kerberos


def check(targets: Sequence[Target]) -> None:
    """Raise ``InputError`` for the first target that could never work, ``SettingsError`` for what is missing here."""
    for target in targets:
        target.check()
    remote = [target for target in targets if target.kind != "local"]
    _check_kerberos(remote)
    for path in {target.credentials.file for target in remote if isinstance(target.credentials, KeyTable)}:
        if not os.access(path, os.R_OK):
            raise SettingsError(f"--keytab: {path} cannot be read")
    if files := {target.ca_file for target in remote if target.tls and target.ca_file}:
        from mpsbridge.transports.wire import tls_context  # noqa: PLC0415 - only where a file is named

        for path in files:
            try:
                tls_context(path, insecure=False)
            except CertificateRefused as error:
                raise SettingsError(str(error), hint=error.hint) from error


def _check_kerberos(targets: Collection[Target]) -> None:
    if has_kerberos():
        return
    for target in targets:
        if target.auth is Auth.KERBEROS:
            raise SettingsError("--auth kerberos: the library for it is not installed", hint=KERBEROS_EXTRA)
        if target.auth is not Auth.NEGOTIATE or isinstance(target.credentials, Password):
            continue
        if isinstance(target.credentials, Ticket):
            unnamed = "" if target.username else "no user name is given, and "
            raise SettingsError(
                f"{target.host}: {unnamed}the library for a Kerberos ticket is not installed",
                hint=f"{NAME_BOTH} {KERBEROS_EXTRA}",
            )
        raise SettingsError("--keytab: the library for Kerberos is not installed", hint=KERBEROS_EXTRA)
