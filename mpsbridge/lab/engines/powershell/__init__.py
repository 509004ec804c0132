"""The lab's second engine: real PowerShell over the same worlds; see :mod:`.engine`."""
