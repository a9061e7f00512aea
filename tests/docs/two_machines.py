"""Two machines on a network of their own: two network namespaces and a cable between them.

Nothing outside is touched or reached: each namespace has its own loopback, its own ports and one address of
TEST-NET-1 (RFC 5737). They live as long as the processes in them, so that nothing is left behind.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

_OWN_USERS: Final = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
_ENTER_USERS: Final = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]


class Ran(NamedTuple):
    """What a command printed, both streams as a terminal shows them, and its exit code."""

    text: str
    code: int


class Machine:
    """One machine: a namespace held by the process `holder`, and a home folder."""

    def __init__(self, name: str, home: Path, holder: "subprocess.Popen[bytes]") -> None:
        self.name: Final = name
        self.home: Final = home
        self._holder = holder
        self._left_running: list[subprocess.Popen[bytes]] = []
        self._environment = {
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
        }

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    def enter(self, command: Sequence[str]) -> list[str]:
        """Return what runs `command` on this machine."""
        return ["nsenter", "--target", str(self.pid), *_ENTER_USERS, "--net", "--", *command]

    def type(self, command: str) -> Ran:
        """Type a command into a shell and wait for its end."""
        done = subprocess.run(
            self.enter(["bash", "-c", command]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            env=self._environment,
            cwd=self.home,
        )
        return Ran(done.stdout, done.returncode)

    def leave_running(self, command: str) -> Path:
        """Type a command that stays; return the file with what it prints."""
        printed = self.home / f"printed-{len(self._left_running)}"
        with printed.open("wb") as file:
            self._left_running.append(
                subprocess.Popen(
                    self.enter(["bash", "-c", f"exec {command}"]),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    env=self._environment,
                    cwd=self.home,
                )
            )
        return printed

    def stop(self) -> list[int]:
        """Stop what was left running, the last first, as Ctrl-C does; return the exit codes."""
        codes = []
        while self._left_running:
            process = self._left_running.pop()
            process.send_signal(signal.SIGINT)
            try:
                codes.append(process.wait(timeout=15))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
        return codes


@contextmanager
def two_machines(folder: Path, addresses: dict[str, str]) -> Iterator[dict[str, Machine]]:
    """Give two machines with these addresses, joined by a cable; skip where no namespaces can be made."""
    _need_namespaces()
    machines: dict[str, Machine] = {}
    holders: list[subprocess.Popen[bytes]] = []
    try:
        for name in addresses:
            unshare = ["unshare", *_OWN_USERS, "--net", "cat"]
            if holders and _OWN_USERS:  # the second namespace belongs to the user namespace of the first
                unshare = [*machines[next(iter(machines))].enter(["unshare", "--net", "cat"])]
            holder = subprocess.Popen(unshare, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            holders.append(holder)
            home = folder / name
            home.mkdir()
            machines[name] = Machine(name, home, holder)
            _await_namespace(holder.pid)
        one, other = machines.values()
        _ip(one, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(other.pid))
        for name, machine in machines.items():
            _ip(machine, "address", "add", f"{addresses[name]}/24", "dev", "cable")
            _ip(machine, "link", "set", "cable", "up")
            _ip(machine, "link", "set", "lo", "up")
        yield machines
    finally:
        for machine in machines.values():
            machine.stop()
        for holder in holders:
            assert holder.stdin
            holder.stdin.close()  # `cat` ends, and the namespace with it
            holder.wait(timeout=10)


def _need_namespaces() -> None:
    for program, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")):
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            pytest.skip(f"needs {program}: it is not on PATH (Debian's package {package})")
    made = subprocess.run(["unshare", *_OWN_USERS, "--net", "true"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("needs namespaces: this user may not make network namespaces (root may)")


def _await_namespace(pid: int) -> None:
    own = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == own or Path(f"/proc/{pid}/comm").read_text() != "cat\n":
        pass


def _ip(machine: Machine, *words: str) -> None:
    done = machine.type(" ".join(["ip", *words]))
    assert done.code == 0, done
