"""The demonstration's network: real nodes, each a process of its own with its own folder, keys and TLS."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from lezha.access import tokens as access_tokens
from lezha.access.rights import Role
from lezha.cli.api import UNREACHABLE, Api, local_url, read_token
from lezha.cli.demo.cast import Actor, Cast
from lezha.cli.errors import CliError
from lezha.cli.node import keep_token, make
from lezha.federation.document import Contact
from lezha.node.identity import ADMIN_TOKEN, new_member, write_secret
from lezha.node.settings import Settings

_START_S: Final = 20
_STOP_S: Final = 10


class Seat(msgspec.Struct):
    """One member's node in the demonstration. `process` is None while it is not running."""

    actor: Actor
    home: Path
    member: str
    url: str
    token: str
    process: asyncio.subprocess.Process | None = None

    def api(self) -> Api:
        """A connection to its HTTP API."""
        return Api(self.url, self.token)


class Network:
    """Nodes under `folder`, of all the cast or of some; `viewer` is a token that signs in to the pages of each."""

    def __init__(self, folder: Path, cast: Cast, actors: Sequence[Actor] | None = None) -> None:
        self._folder = folder
        self._viewer = access_tokens.mint()
        self._sensor: asyncio.subprocess.Process | None = None
        self.viewer: Final = self._viewer.text
        self.cast: Final = cast
        self.seats: Final = {actor.name: self._seat(actor) for actor in actors or cast.actors}

    async def start(self) -> None:
        """Start all nodes and wait until they answer. Raises CliError."""
        await asyncio.gather(*(self.start_one(seat) for seat in self.seats.values()))

    async def start_one(self, seat: Seat) -> None:
        """Start one node, again if need be, and wait until it answers. Raises CliError."""
        log = seat.home.parent / f"{seat.actor.name}.log"
        seat.process = await self._spawn(log, "serve", "--home", seat.home)
        await self._answering(seat)

    async def kill(self, seat: Seat) -> None:
        """End one node as a power cut would (SIGKILL)."""
        if seat.process is not None:
            seat.process.kill()
            await seat.process.wait()
            seat.process = None

    async def introduce(self) -> bool:
        """Link every node to every other; return whether both sides of each saw the same phrase."""
        seats = list(self.seats.values())
        pairs = [(one, other) for position, one in enumerate(seats) for other in seats[position + 1 :]]
        return all([await self.link(one, other) for one, other in pairs])

    async def convene(self) -> None:
        """Found the communities: the first member drafts, all sign, each accepts."""
        for name, members in self.cast.communities.items():
            names = [actor.name for actor in members]
            first, *others = (self.seats[actor] for actor in names)
            wanted = {"name": name, "members": names, "stewards": names, "threshold": len(names)}
            async with first.api() as api:
                roster = await api.call("POST", "/communities", body=msgspec.json.encode(wanted))
            for seat in others:
                async with seat.api() as api:
                    roster = await api.call("POST", "/communities/sign", body=roster)
            for seat in (first, *others):
                async with seat.api() as api:
                    await api.post("/communities/accept", roster)

    async def sense(self, seat: Seat, logs: list[Path]) -> None:
        """Start a sensor beside a member's logs, with a token of its own."""
        async with seat.api() as api:
            made = await api.post("/tokens", {"name": "sensor", "role": Role.SENSOR.value})
        token = self._folder / "sensor.token"
        write_secret(token, made["token"].encode())
        follow = [part for log in logs for part in ("--follow", str(log))]
        where = ("--node", seat.url, "--token-file", str(token), "--window", "5")
        self._sensor = await self._spawn(self._folder / "sensor.log", "sensor", *follow, *where)

    async def stop(self) -> bool:
        """Stop the sensor and all nodes; return whether each ended by itself, and cleanly."""
        processes = [seat.process for seat in self.seats.values() if seat.process is not None]
        if self._sensor is not None:
            processes.insert(0, self._sensor)
        for seat in self.seats.values():
            seat.process = None
        self._sensor = None
        return all(await asyncio.gather(*(_end(process) for process in processes)))

    def _seat(self, actor: Actor) -> Seat:
        home = self._folder / actor.name
        listen, link_listen = (f"127.0.0.1:{port}" for port in _free_ports(2))
        settings = Settings(
            member=new_member(),
            name=actor.name,
            listen=listen,
            link_listen=link_listen,
            endpoint=f"https://{link_listen}",
        )
        make(home, settings, actor.title, Contact())
        keep_token(home, "viewer", Role.ANALYST, self._viewer)
        return Seat(actor, home, settings.member, local_url(home), read_token(home / ADMIN_TOKEN))

    async def _spawn(self, log: Path, *arguments: str | Path) -> asyncio.subprocess.Process:
        with log.open("ab") as file:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lezha.cli",
                *map(str, arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,  # Ctrl-C is for the demonstration, which then stops them in order
            )

    async def _answering(self, seat: Seat) -> None:
        process = seat.process
        loop = asyncio.get_running_loop()
        end = loop.time() + _START_S
        async with seat.api() as api:
            while loop.time() < end and process is not None and process.returncode is None:
                try:
                    await api.get("/status")
                except CliError as error:
                    if error.exit_code != UNREACHABLE:
                        raise
                    await asyncio.sleep(0.05)
                else:
                    return
        raise CliError(
            f"The node of {seat.actor.title} did not start: see {seat.home.parent / seat.actor.name}.log"
        )

    async def link(self, one: Seat, other: Seat) -> bool:
        """Link two nodes; return whether both sides saw the same phrase."""
        async with one.api() as inviter, other.api() as invited:
            made = await inviter.post("/peers/invite", {"name": other.actor.name})
            here: dict[str, Any] = await invited.post("/peers/accept", {"invitation": made["invitation"]})
            there = await inviter.get(f"/peers/{other.actor.name}/phrase")
            await inviter.post("/peers/confirm", {"name": other.actor.name, "phrase": here["phrase"]})
            await invited.post("/peers/confirm", {"name": one.actor.name, "phrase": there["phrase"]})
        return bool(here["phrase"] == there["phrase"])


async def _end(process: asyncio.subprocess.Process) -> bool:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return process.returncode == 0


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
