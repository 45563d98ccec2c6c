"""One request to a source."""

from chalicelib.market.answer import UnusableAnswer
from chalicelib.runtime import fetch as http
from chalicelib.runtime.sockets import TimeLeft

MAX_BYTES = 64 * 1024
"""The largest reply. A ticker's is under 2 KB."""


def fetch(url: str, time: TimeLeft) -> bytes:
    """Returns the body of a reply.

    Raises:
        UnusableAnswer: there is no such body in time.
    """
    try:
        return http.fetch(url, time, MAX_BYTES)
    except http.FetchFailed as failed:
        raise UnusableAnswer(str(failed)) from failed
