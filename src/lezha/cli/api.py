"""The command line as a client of a node's HTTP API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from lezha.cli.errors import CliError
from lezha.node import settings as node_settings
from lezha.node.identity import ADMIN_TOKEN

T = TypeVar("T")
UNREACHABLE: Final = 3
_TIMEOUT: Final = aiohttp.ClientTimeout(total=600, sock_connect=5)
_STREAMING: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=120)
_MAX_TOKEN: Final = 200
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
Query = Mapping[str, str] | Sequence[tuple[str, str]]


class Refusal(CliError):
    """The node said no. `body` is its JSON answer, `status` that of HTTP."""

    def __init__(self, message: str, body: dict[str, Any], status: int) -> None:
        super().__init__(message)
        self.body: Final = body
        self.status: Final = status


class Body:
    """An answer that is read while it comes."""

    def __init__(self, reader: aiohttp.StreamReader, lost: Callable[[BaseException], CliError]) -> None:
        self._reader = reader
        self._lost = lost

    async def line(self) -> bytes:
        """Read up to a line break, which is included, or to the end. Raises CliError if the node is lost."""
        try:
            return await self._reader.readline()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._lost(error) from error

    async def some(self, most: int) -> bytes:
        """Read what has come, at most `most` bytes; nothing at the end. Raises CliError if the node is lost before."""
        try:
            return await self._reader.read(most)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(error) from error

    async def exactly(self, size: int) -> bytes:
        """Read so many bytes. Raises CliError if the node is lost before."""
        try:
            return await self._reader.readexactly(size)
        except (aiohttp.ClientError, TimeoutError, OSError, EOFError) as error:
            raise self._lost(error) from error


class Api:
    """Call the node at `url` with `token`. Use as an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the connection."""
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, query: Query = ()) -> Any:
        """GET /api/v1`path` and return the JSON. Raises CliError."""
        return self._json(await self.call("GET", path, query))

    async def post(self, path: str, data: object = None, query: Query = ()) -> Any:
        """POST JSON (or bytes as they are) and return the JSON. Raises CliError."""
        body = data if isinstance(data, bytes) else msgspec.json.encode(data)
        return self._json(await self.call("POST", path, query, body))

    async def call(self, method: str, path: str, query: Query = (), body: bytes | None = None) -> bytes:
        """Call and return the raw answer. Raises CliError."""
        assert self._session is not None, "use the Api as a context manager"  # the caller's mistake
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self._session.request(
                method, f"{self._url}/api/v1{path}", params=query, data=body, headers=headers
            ) as response:
                reply = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(error) from error
        if response.status >= 400:
            raise _refusal(reply, response.status)
        return reply

    @contextlib.asynccontextmanager
    async def stream(self, path: str, query: Query = ()) -> AsyncIterator[Body]:
        """GET /api/v1`path` and give the answer as it comes. Raises CliError."""
        assert self._session is not None, "use the Api as a context manager"  # the caller's mistake
        try:
            response = await self._session.get(f"{self._url}/api/v1{path}", params=query, timeout=_STREAMING)
            reply = await response.read() if response.status >= 400 else b""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._lost(error) from error
        try:
            if response.status >= 400:
                raise _refusal(reply, response.status)
            yield Body(response.content, self._lost)
        finally:
            response.close()

    def _lost(self, error: BaseException) -> CliError:
        return CliError(
            f"The node at {self._url} can't be reached: is `lezha serve` running? ({error})", UNREACHABLE
        )

    def _json(self, reply: bytes) -> Any:
        try:
            return msgspec.json.decode(reply)
        except _UNREADABLE as error:
            raise CliError(f"What answers at {self._url} is not a node of lezha.", UNREACHABLE) from error


class At(msgspec.Struct, frozen=True):
    """Which node: that of `home`, or the one at `url` with the token in `token_file`."""

    home: Path
    url: str
    token_file: Path | None


def run(home: Path, url: str, token_file: Path | None, call: Callable[[Api], Awaitable[T]]) -> T:
    """Run `call` against the node of `home`, or the one at `url`. Raises CliError, NodeError."""
    address, token = url, ""
    if not address:
        address = local_url(home.expanduser())
        token_file = token_file or home.expanduser() / ADMIN_TOKEN
    if token_file is None:
        raise CliError("A node elsewhere needs a token: give --token-file.", 2)
    token = read_token(token_file)

    async def connected() -> T:
        async with Api(address, token) as api:
            return await call(api)

    return asyncio.run(connected())


def segment(text: str) -> str:
    """Return a name or id as a part of a path. Raises CliError for one that can't be one, such as an empty one."""
    if text in ("", ".", ".."):
        raise CliError(f"{text!r} is no name and no id.")
    return quote(text, safe="")


def local_url(home: Path) -> str:
    """Return where the node of `home` listens for people and tools. Raises NodeError."""
    host, port = node_settings.address(node_settings.load(home).listen)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_token(path: Path) -> str:
    """Read a token file. Raises CliError."""
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(_MAX_TOKEN + 1).decode("ascii").strip()
    except OSError as error:
        raise CliError(f"The token in {path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        text = ""
    if not text or len(text) > _MAX_TOKEN or not text.isprintable() or " " in text:
        raise CliError(f"{path} holds no token: `lezha token create` makes one.")
    return text


def _refusal(reply: bytes, status: int) -> Refusal:
    try:
        body = msgspec.json.decode(reply, type=dict[str, Any])
    except _UNREADABLE:
        body = {}
    return Refusal(str(body.get("title", f"The node answered {status}.")), body, status)
