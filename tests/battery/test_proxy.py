"""Stories of three or four real nodes, each behind a proxy that spoils its connections: tests/battery/proxy.

A story that fails is told in full, with its seed. What happens is the same in each telling, how far the nodes have come
by then is not: a fault may show in some of them only.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.battery.nodes import free_port
from tests.battery.proxy.front import FAIR, Front, Side, Weather, fronts
from tests.battery.proxy.story import tell

SOAK = 20
FOUND = {"a node whose peer reset connections as they were made ended by SIGABRT": 2}
"""What short stories have shown to be wrong, and by which seed."""
PATIENCE_S = 10


def assert_well(seed: int, folder: Path, *, short: bool, database: str = "") -> None:
    outcome = tell(seed, folder, short=short, database=database)
    options = f"{' --short' if short else ''}{' --database URL' if database else ''}"
    command = f".venv/bin/python -m tests.battery.proxy{options} {seed}"
    again = f"Again, from the repository's root: {command}"
    assert not outcome.faults, "\n".join([f"seed {seed}", *outcome.told, *outcome.faults, again])


@pytest.mark.parametrize("found", FOUND)
def test_what_a_short_story_of_real_nodes_has_shown_does_not_come_back(found: str, tmp_path: Path) -> None:
    assert_well(FOUND[found], tmp_path, short=True)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SOAK))
def test_real_nodes_get_what_they_may_have_once_whatever_the_network_does(
    seed: int, tmp_path: Path, postgres_databases: Callable[[], str]
) -> None:
    assert_well(seed, tmp_path, short=False, database=postgres_databases() if seed % 2 else "")


# --- the proxy does what it is told ---------------------------------------------------------------------------------


class Echo:
    """A listener that answers what it gets, and knows what that was and how it ended."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", free_port()))
        self.port: int = self.listening.getsockname()[1]
        self.got = b""
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self.listening.accept()
                threading.Thread(target=self._answer, args=(one,), daemon=True).start()

    def _answer(self, one: socket.socket) -> None:
        with one, suppress(OSError):
            while chunk := one.recv(1 << 16):
                self.got += chunk
                one.sendall(chunk)
        self.ended.set()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.listening.close()


@pytest.fixture
def front(echo: Echo) -> Iterator[Front]:
    with fronts(1) as made:
        yield made.before(echo.port, free_port())


@pytest.fixture
def near(front: Front) -> Iterator[socket.socket]:
    """A connection through the front, that has been used."""
    with socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE_S) as made:
        assert answered(made, b"hello") == b"hello"
        yield made


def answered(near: socket.socket, sent: bytes) -> bytes:
    near.sendall(sent)
    return near.recv(1 << 16)


def hears_nothing(near: socket.socket) -> bool:
    near.settimeout(0.3)
    try:
        near.recv(1)
    except TimeoutError:
        return True
    finally:
        near.settimeout(PATIENCE_S)
    return False


def test_in_fair_weather_bytes_and_ends_go_through(near: socket.socket, echo: Echo) -> None:
    assert answered(near, b"again") == b"again"
    near.shutdown(socket.SHUT_WR)
    assert near.recv(1) == b""
    assert echo.ended.wait(PATIENCE_S)
    assert echo.got == b"helloagain"


@pytest.mark.parametrize("reset", [True, False])
def test_a_cut_is_a_reset_or_an_end_to_both(
    near: socket.socket, front: Front, echo: Echo, reset: bool
) -> None:
    assert front.cut(reset=reset) == 1
    if reset:
        with pytest.raises(ConnectionResetError):
            near.recv(1)
    else:
        assert near.recv(1) == b""
    assert echo.ended.wait(PATIENCE_S)


def test_what_is_swallowed_is_lost_for_good_with_the_end_behind_it(
    near: socket.socket, front: Front, echo: Echo
) -> None:
    front.become(Weather(swallowed=frozenset({Side.INWARD})))
    near.sendall(b"lost")
    assert hears_nothing(near)
    front.become(FAIR)
    near.sendall(b"lost too")
    assert hears_nothing(near)
    near.close()
    assert not echo.ended.wait(0.3)
    assert echo.got == b"hello"


def test_what_is_swallowed_on_the_way_back_has_arrived(near: socket.socket, front: Front, echo: Echo) -> None:
    front.become(Weather(swallowed=frozenset({Side.OUTWARD})))
    near.sendall(b"heard")
    assert hears_nothing(near)
    assert echo.got == b"helloheard"


def test_what_is_held_comes_later(near: socket.socket, front: Front, echo: Echo) -> None:
    front.become(Weather(held=frozenset({Side.INWARD})))
    near.sendall(b"late")
    assert hears_nothing(near)
    assert echo.got == b"hello"
    front.become(FAIR)
    assert near.recv(10) == b"late"


def test_new_connections_are_refused_and_others_stay(near: socket.socket, front: Front) -> None:
    front.become(Weather(refused=True))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", front.port))
    assert answered(near, b"still") == b"still"
    front.become(FAIR)
    with socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE_S) as again:
        assert answered(again, b"x") == b"x"


def test_a_connection_that_is_made_in_silence_stays_silent(front: Front, echo: Echo) -> None:
    front.become(Weather(silent=True))
    with socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE_S) as near:
        near.sendall(b"lost")
        assert hears_nothing(near)
        front.become(FAIR)
        assert hears_nothing(near)
    assert echo.got == b""


@pytest.mark.parametrize("silently", [True, False])
def test_a_connection_ends_in_the_middle(
    near: socket.socket, front: Front, echo: Echo, silently: bool
) -> None:
    front.become(Weather(ends_after=500, ends_silently=silently))
    near.sendall(b"x" * 5000)
    if silently:
        near.settimeout(0.5)
        with suppress(TimeoutError):
            while near.recv(1 << 16):
                pass
    else:
        with suppress(ConnectionResetError):
            while near.recv(1 << 16):
                pass
        assert echo.ended.wait(PATIENCE_S)
    assert len(b"hello") < len(echo.got) <= len(b"hello") + 500


@pytest.mark.parametrize("weather", [Weather(delay_s=0.2), Weather(bytes_per_s=5)])
def test_bad_weather_takes_its_time(near: socket.socket, front: Front, weather: Weather) -> None:
    front.become(weather)
    begun = time.monotonic()
    assert answered(near, b"x") == b"x"
    assert time.monotonic() - begun >= 0.2
