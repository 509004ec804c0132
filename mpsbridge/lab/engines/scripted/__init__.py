"""The lab's first engine: mpsbridge's own calls, answered in pure Python; see :mod:`.engine`."""
