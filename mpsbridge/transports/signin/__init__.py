"""Ways to sign in to WinRM, one file each, and what they share.

``negotiate``       which of them, for a target; ``begin`` makes the first token
``ntlm``            NTLMv2, raw or inside SPNEGO
``kerberos``        by the system's own library (the extra ``kerberos``), with ``kerberos_codes``: what its numbers mean
``basic``           user name and password with each message
``context``         what a sign-in with a host can do, and the protection that it must grant
``challenge``       what a host says of a sign-in in its HTTP answer
``bindings``        what binds a sign-in to its TLS connection
``gate``            which host is shown a credential, and when
``extra``           whether the extra is installed

Rules: nothing is imported here, for Kerberos is optional and each way's library takes long to load; what goes with
which credential says the credential itself (:mod:`mpsbridge.models.credentials`).
"""
