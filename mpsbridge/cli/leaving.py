"""How a command leaves."""


class Exit(Exception):
    """Leave with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
