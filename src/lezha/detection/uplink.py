"""The sensor's line to its node: HTTP with a token."""

from typing import Final, TypeVar

import aiohttp
import msgspec
from yarl import URL

from lezha.detection.errors import UplinkError
from lezha.detection.feed import Feed, Taken
from lezha.detection.sensor import Batch

T = TypeVar("T")
_WAIT_S: Final = 25
_TIMEOUT: Final = aiohttp.ClientTimeout(total=_WAIT_S + 15, sock_connect=5)


class Uplink:
    """Fetch rows of the sensor's view and deliver reports. `node` is the node's base URL."""

    def __init__(self, node: str, token: str) -> None:
        self._url = URL(node) / "api/v1/sensor"
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, headers={"Authorization": f"Bearer {token}"})

    async def fetch(self, after: int, incarnation: str = "") -> Feed:
        """Return the rows after row `after`; with none, wait up to 25 s for one, or for another incarnation.

        Raises UplinkError.
        """
        query = {"after": str(after), "wait": str(_WAIT_S), "incarnation": incarnation}
        raw = await self._call("GET", (self._url / "indicators").with_query(query), None)
        return self._read(raw, Feed)

    async def deliver(self, batch: Batch) -> Taken:
        """Deliver a batch; when this returns the node has it durably. Raises UplinkError."""
        raw = await self._call("POST", self._url / "reports", msgspec.json.encode(batch))
        return self._read(raw, Taken)

    async def close(self) -> None:
        """Close the connection."""
        await self._session.close()

    def _read(self, raw: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UplinkError(f"what answers at {self._url.origin()} is no node: {error}") from error

    async def _call(self, method: str, url: URL, body: bytes | None) -> bytes:
        try:
            async with self._session.request(method, url, data=body, allow_redirects=False) as response:
                reply = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UplinkError(
                f"the node at {url.origin()} can't be reached: {str(error) or 'time-out'}"
            ) from error
        if response.status in (401, 403):
            raise UplinkError(f"the node at {url.origin()} refuses this sensor's token", final=True)
        if response.status != 200:
            raise UplinkError(f"the node at {url.origin()} answered {response.status}")
        return reply
