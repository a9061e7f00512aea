"""A peer that resets connections in the moment they are made does not end the process. libuv would: node/loop.py."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, socket, ssl, struct, sys, threading
import aiohttp, uvloop
from lezha.node.loop import Loop

LISTENING = socket.create_server(("127.0.0.1", 0), backlog=100)
PORT = LISTENING.getsockname()[1]

def reset():
    while True:
        one, _ = LISTENING.accept()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()

async def ask():
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(), limit=2)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(1500):
            try:
                await session.post(f"https://127.0.0.1:{PORT}/", data=b"x", server_hostname="peer.invalid")
            except aiohttp.ClientError:
                pass

async def main():
    await asyncio.gather(*(ask() for _ in range(3)))

threading.Thread(target=reset, daemon=True).start()
sys.setswitchinterval(0.0005)  # as cli/serve.py
uvloop.run(main(), loop_factory=Loop)
print("well")
"""


def test_a_peer_that_resets_every_connection_does_not_end_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr[-3000:]
