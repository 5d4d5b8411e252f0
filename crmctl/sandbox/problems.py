"""The one exception by which any part of a sandbox API refuses a request."""


class RequestError(Exception):
    """Answer with this HTTP status and message, in the API's own error body."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)
