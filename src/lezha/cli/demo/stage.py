"""The demonstration from the curtain to the verdict."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.live import Live

from lezha.cli.console import err, note, out, show_json
from lezha.cli.demo import cast as casts
from lezha.cli.demo import checks, report, view
from lezha.cli.demo.cast import Cast
from lezha.cli.demo.checks import Checks
from lezha.cli.demo.network import Network
from lezha.cli.demo.story import Story, planted, refresh, tell
from lezha.cli.demo.traffic import Traffic
from lezha.cli.errors import CliError

_REFRESH_S: Final = 1.0


def play(cast: Path | None, keep: Path | None, *, headless: bool, json: bool) -> None:
    """Play the demonstration and show how it went. Raises CliError, also if a check fails."""
    chosen = casts.read(cast) if cast else Cast()
    live = not headless and not json and out.is_terminal
    with _folder(keep) as folder:
        network = Network(folder, chosen)
        story = Story()
        outcome = asyncio.run(_play(network, story, folder, live=live))
        if json:
            show_json(report.document(network, story, outcome))
        else:
            out.print(view.render(network, story, outcome))
    if not all(outcome.values()):
        raise CliError(
            "these checks fail: " + ", ".join(name for name, holds in outcome.items() if not holds)
        )


async def _play(network: Network, story: Story, folder: Path, *, live: bool) -> Checks:
    traffic = Traffic(folder / "zeek", planted())
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    writing = asyncio.create_task(traffic.write())
    try:
        with Live(console=out, auto_refresh=False) if live else contextlib.nullcontext() as screen:
            told = ""

            def changed() -> None:
                nonlocal told
                if screen is not None:
                    screen.update(view.render(network, story), refresh=True)
                elif story.phase != told:
                    told = story.phase
                    note(told)

            playing = asyncio.create_task(tell(network, list(traffic.paths.values()), story, changed))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait([playing, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
                raise CliError("interrupted", 130)
            playing.result()
            if screen is not None:
                story.phase = "done; open the pages below, Ctrl-C ends"
                await _stay(network, story, stop, changed)
            stopping.cancel()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        stopped = await network.stop()
    err.print("checking every file and table of the nodes …")
    return await asyncio.to_thread(checks.run, network, story, stopped)


async def _stay(network: Network, story: Story, stop: asyncio.Event, changed: Callable[[], None]) -> None:
    author = network.seats[network.cast.author.name]
    while not stop.is_set():
        changed()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _REFRESH_S)
        await refresh(author, story)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if keep.exists():
            raise CliError(f"{keep} is there already: name a new folder.")
        _make(keep)
        yield keep
        return
    try:
        folder = Path(tempfile.mkdtemp(prefix="lezha-demo-"))
    except OSError as error:
        raise CliError(f"No folder can be made for the nodes: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise CliError(f"{folder} can't be made: {error.strerror}.") from error
