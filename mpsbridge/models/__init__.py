"""Every value that crosses a boundary, frozen. No I/O here, and nothing but ``errors`` is imported."""
