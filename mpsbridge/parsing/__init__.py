"""Text of Windows tools to rows, sessions and stations. Pure: no I/O; imports only ``errors`` and ``models``."""
