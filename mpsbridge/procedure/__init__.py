"""Ending sessions on one host: lease, notices, log-off, restart, and giving everything back."""
