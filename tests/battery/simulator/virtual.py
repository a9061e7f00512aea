"""An event loop in which nothing takes time but waiting, and waiting none: hours pass as fast as they are computed.

What happens depends on nothing but the program and its seed. There is one thread: what others would do (`to_thread`,
the executor) is done at once. Time stands still while code runs, and goes on to the next thing that is waited for when
there is nothing left to do.
"""

import asyncio
import datetime as dt
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextvars import Context
from typing import Any, TypeVar

from msgspec.structs import replace

from lezha.node.clock import stamp
from lezha.store.log import _GROUP_LIMIT, Committed, Log, Tx, _Job

T = TypeVar("T")
START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DISK_S = 0.0005
"""What a commit takes on a disk that is well."""


class NothingLeft(RuntimeError):
    """Everybody waits for somebody, and nobody for the time: a real program would hang for ever."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `time` is in seconds from the beginning."""

    def __init__(self) -> None:
        self._present = 0.0
        super().__init__(_NoDescriptors(self._pass))

    def time(self) -> float:
        """Return the virtual time."""
        return self._present

    def call_soon_threadsafe(  # type: ignore[override]  # the arguments are those of the callback
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Do as `call_soon`: there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]  # a future of this loop, as the real one's
        self, _executor: object, function: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Do at the loop's next turn what a thread would do beside it."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(function(*args))
            except Exception as error:  # noqa: BLE001  # whatever it is, it goes to whoever asked
                future.set_exception(error)

        self.call_soon(work)
        return future

    def _pass(self, seconds: float | None) -> None:
        if seconds is None:
            raise NothingLeft
        self._present += max(0.0, seconds)


class _NoDescriptors(selectors.BaseSelector):
    """Waits for no descriptor, and says how long it would have waited."""

    def __init__(self, passing: Callable[[float | None], None]) -> None:
        self._pass = passing
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        self._keys[fileobj] = selectors.SelectorKey(fileobj, number, events, data)
        return self._keys[fileobj]

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._pass(timeout)
        return []


def _pass_on(future: "Future[Any]", told: "asyncio.Future[Any]") -> None:
    if told.done():  # who asked has ended
        return
    if error := future.exception():
        told.set_exception(error)
    else:
        told.set_result(future.result())


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def seconds() -> float:
    """Return the virtual time in seconds from the beginning."""
    return asyncio.get_running_loop().time()


def wall_clock(skew: float) -> Callable[[], str]:
    """Return the clock of a node, wrong by `skew` seconds. It may be asked from any thread."""
    loop = asyncio.get_running_loop()
    return lambda: stamp(START + dt.timedelta(seconds=loop.time() + skew))


class Disk:
    """How long commits take: before they are durable and after up to `slow` seconds, and `each_s` for each event."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.slow = DISK_S
        self.each_s = 0.0

    async def turn(self, events: int = 0) -> None:
        """Wait as long as the disk needs."""
        await asyncio.sleep(self.slow * self._chance.random() + self.each_s * events)


class VirtualLog(Log):
    """A log whose commits take virtual time: some before they are durable, some until that is known.

    As in the real one, what comes while a commit is under way goes into the next one together. Its thread has nothing
    to do: to hand everything over to it and wait would take most of the time there is.
    """

    def __init__(self, url: str, clock: Callable[[], str], disk: Disk) -> None:
        super().__init__(url, clock)
        self._disk = disk
        self._waiting: list[tuple[_Job, asyncio.Future[Any]]] = []
        self._writer_task: asyncio.Task[None] | None = None

    def write_now(self, work: Callable[[Tx], T]) -> T:
        future: Future[T] = Future()
        self._commit([_Job(work, future, "")])
        return future.result()

    def submit(self, work: Callable[[Tx], T]) -> "asyncio.Future[T]":
        told: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((_Job(work, Future(), ""), told))
        if self._writer_task is None or self._writer_task.done():
            self._writer_task = asyncio.create_task(self._write_all())
        return told

    def close(self) -> None:
        if self._writer_task:
            self._writer_task.cancel()
        super().close()

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_GROUP_LIMIT], self._waiting[_GROUP_LIMIT:]
            await self._disk.turn()
            group = [(job, told) for job, told in group if not told.done()]
            before = self._heard
            self._commit([job for job, _ in group])
            await self._disk.turn(self._heard - before)
            for job, told in group:
                _pass_on(job.future, told)

    def _announce(self, committed: Committed) -> None:
        super()._announce(replace(committed, instant=seconds()))

    def _in_turn(self, work: Callable[[], None]) -> None:
        work()
