"""What a service manager is told of a running node (sd_notify(3)): a datagram to the socket that it names."""

import os
import socket
from typing import Final

import structlog

_SOCKET: Final = "NOTIFY_SOCKET"
_logger = structlog.get_logger()


def tell(state: str) -> None:
    """Tell whoever started this process its state, `READY=1` or `STOPPING=1`; nobody, if nobody asked."""
    path = os.environ.get(_SOCKET, "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(state.encode(), address)
    except OSError as error:
        _logger.warning("service.not_told", state=state, reason=str(error))
