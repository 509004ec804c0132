"""Look after user sessions on Windows MultiPoint Services and Remote Desktop hosts."""

from mpsbridge.version import __version__

__all__ = ["__version__"]
