"""The event loop of a node: uvloop's, which owns a socket that it is given from then on, whatever becomes of it.

uvloop 0.23 leaves a socket object with the number of a file that its transport may have closed already, where a peer
resets the connection in the moment it is made. Once that object goes it closes the number again, which by then may
belong to another connection; libuv ends the process when that one is watched next (libuv issue 5130, uvloop issue 738).
aiohttp makes every connection in this way.
"""

import socket
from typing import Any

import uvloop


class Loop(uvloop.Loop):
    """uvloop's event loop for processes that peers can reach."""

    async def create_connection(
        self, *arguments: Any, sock: socket.socket | None = None, **options: Any
    ) -> Any:
        """Make a connection. A `sock` that is given is the loop's from then on, also if this fails."""
        try:
            return await super().create_connection(*arguments, sock=sock, **options)
        finally:
            if sock is not None:
                sock.detach()
