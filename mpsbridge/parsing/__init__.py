"""Text of Windows tools to rows and times. Pure: no I/O, and imports only errors and models."""
