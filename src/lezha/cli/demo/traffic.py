"""Ordinary Zeek logs, written while the demonstration runs, with lines now and then that carry indicators.

Addresses of clients and ordinary servers are from the blocks that are reserved for documentation (RFC 5737), names
from those that are reserved for examples (RFC 2606).
"""

import asyncio
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

Record = dict[str, object]

LOGS: Final = ("conn", "dns", "http", "files")
_TICK_S: Final = 0.02
_LINES_PER_TICK: Final = 10
_PLANT_EVERY: Final = 5


class Traffic:
    """Write the four logs in `folder`. `planted` are (kind, value) of the indicators that lines will carry."""

    def __init__(self, folder: Path, planted: tuple[tuple[str, str], ...], seed: int = 2022) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.paths: Final = {log: folder / f"{log}.log" for log in LOGS}
        self.lines = 0
        self._planted = planted
        self._random = random.Random(seed)  # noqa: S311  # traffic to look at, not a secret

    async def write(self) -> None:
        """Write until cancelled: 500 lines a second, 10 of them with an indicator."""
        files = {log: path.open("a", buffering=1) for log, path in self.paths.items()}
        tick = 0
        try:
            while True:
                for _ in range(_LINES_PER_TICK):
                    log = self._random.choice(LOGS)
                    files[log].write(_line(_ORDINARY[log](self._random)))
                if self._planted and tick % _PLANT_EVERY == 0:
                    kind, value = self._planted[tick // _PLANT_EVERY % len(self._planted)]
                    log, record = _carrying(self._random, kind, value)
                    files[log].write(_line(record))
                self.lines += _LINES_PER_TICK
                tick += 1
                await asyncio.sleep(_TICK_S)
        finally:
            for file in files.values():
                file.close()


def _line(record: Record) -> str:
    return json.dumps({"ts": time.time()} | record, separators=(",", ":")) + "\n"


def _carrying(rng: random.Random, kind: str, value: str) -> tuple[str, Record]:
    """Return an ordinary record in which `value` stands where Zeek would log it."""
    if kind == "ipv4-addr":
        return "conn", _conn(rng) | {"id.resp_h": value}
    if kind == "domain-name":
        return "dns", _dns(rng) | {"query": f"www.{value}"}
    if kind == "url":
        host, _, path = value.partition("://")[2].partition("/")
        return "http", _http(rng) | {"host": host, "uri": f"/{path}"}
    return "files", _files(rng) | {kind: value}


def _conn(rng: random.Random) -> Record:
    return _endpoints(rng, 443) | {
        "proto": "tcp",
        "service": "ssl",
        "duration": round(rng.expovariate(1), 6),
        "orig_bytes": rng.randrange(20_000),
        "resp_bytes": rng.randrange(200_000),
        "conn_state": "SF",
    }


def _dns(rng: random.Random) -> Record:
    return _endpoints(rng, 53) | {
        "proto": "udp",
        "query": f"{_word(rng)}.{rng.choice(('example.com', 'example.net', 'example.org'))}",
        "qtype_name": rng.choice(("A", "AAAA", "MX")),
        "rcode_name": "NOERROR",
        "answers": [f"198.51.100.{rng.randrange(1, 255)}"],
    }


def _http(rng: random.Random) -> Record:
    return _endpoints(rng, 80) | {
        "method": "GET",
        "host": f"{_word(rng)}.example.com",
        "uri": f"/{_word(rng)}/{_word(rng)}?id={rng.randrange(10_000)}",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0",
        "status_code": 200,
    }


def _files(rng: random.Random) -> Record:
    return {
        "fuid": f"F{rng.getrandbits(64):016x}",
        "tx_hosts": [f"198.51.100.{rng.randrange(1, 255)}"],
        "rx_hosts": [f"192.0.2.{rng.randrange(1, 255)}"],
        "source": "HTTP",
        "mime_type": "application/x-dosexec",
        "md5": f"{rng.getrandbits(128):032x}",
        "sha1": f"{rng.getrandbits(160):040x}",
        "sha256": f"{rng.getrandbits(256):064x}",
    }


def _endpoints(rng: random.Random, port: int) -> Record:
    return {
        "uid": f"C{rng.getrandbits(64):016x}",
        "id.orig_h": f"192.0.2.{rng.randrange(1, 255)}",
        "id.orig_p": rng.randrange(1024, 65536),
        "id.resp_h": f"198.51.100.{rng.randrange(1, 255)}",
        "id.resp_p": port,
    }


def _word(rng: random.Random) -> str:
    return "".join(rng.choices("bcdfghklmnprstvz", k=3)) + "".join(rng.choices("aeiou0123456789", k=3))


_ORDINARY: Final[dict[str, Callable[[random.Random], Record]]] = {
    "conn": _conn,
    "dns": _dns,
    "http": _http,
    "files": _files,
}
