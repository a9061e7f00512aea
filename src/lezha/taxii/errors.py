"""Why a request is answered with a TAXII error message (TAXII 2.1 §3.6.1)."""


class TaxiiError(Exception):
    """What the client reads as `title`, with the status of HTTP that goes with it."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
