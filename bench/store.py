"""The log: what an object costs on its way in, with a thousand and with a million held, and what reading costs then.

*Ingest* is the whole way of a batch of 1,000 objects without a statement: taken apart, checked, derived, written,
durable. Beside it stands one bare loop in the same run: msgspec, the compiled schema, and the insertion of the very
same rows into the same tables by `sqlite3` alone, also durable. CPU is that of the process, all threads.
"""

import asyncio
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

import msgspec
import stix2  # type: ignore[import-untyped]  # ships no types
from bench.feed import Feed, batches, decoded
from bench.figure import Figure
from bench.postgres import server
from bench.run import say

from lezha.cli.node import make
from lezha.federation import members
from lezha.federation.document import Contact
from lezha.flows import export, ingest, look, rederive
from lezha.node import identity
from lezha.node import settings as node_settings
from lezha.node.clock import utc_now
from lezha.node.settings import Settings
from lezha.stix import schema as schemas
from lezha.stix import write
from lezha.store import contents
from lezha.store.log import Log
from lezha.store.search import Query

MILLION = 1_000_000
SIZE = 1000
MEASURED = 10  # batches
QUERIES = 400
_MEMBERS = members.known([])
_ME = "identity--00000000-0000-4000-8000-000000000001"


def figures() -> Iterator[Figure]:
    """Yield cost of ingest against the bare loop, growth, pages, searches, memory, and PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="lezha-bench-"))
    try:
        yield from _measured(folder)
        yield from _on_postgres(folder)
    finally:
        shutil.rmtree(folder)


def _measured(folder: Path) -> Iterator[Figure]:
    home = folder / "node"
    settings = Settings(
        member=identity.new_member(),
        name="tirana",
        endpoint="https://127.0.0.1:9471",
        listen="127.0.0.1:9470",
        link_listen="127.0.0.1:9471",
    )
    make(home, settings, "Tirana", Contact())
    schemas.compile_all()
    feed = Feed()
    log = Log(node_settings.database(home, settings), utc_now)
    rederive.everything(log)
    try:
        early = _ingest(log, feed, 1, MEASURED)
        yield from _against_bare(folder, log, early)
        yield _against_stix2(early)
        say("  filling up to a million ...")
        _fill(log, feed)
        late = _ingest(log, feed, 0, MEASURED)
        growth = late.cpu_us / early.cpu_us
        beside = {"us_at_1k": early.cpu_us, "us_at_1m": late.cpu_us, "wall_us_at_1m": late.wall_us}
        yield Figure("store.ingest_growth_1m", growth, "ratio", "<= 1.25", growth <= 1.25, beside)
        yield _page(home, settings, log)
        yield from _searches(log)
    finally:
        log.close()
    yield _memory(home, settings, feed)


class Cost(msgspec.Struct, frozen=True):
    """Of some batches: CPU and wall time per object, and the objects."""

    cpu_us: float
    wall_us: float
    batches: list[list[bytes]]


def _ingest(log: Log, feed: Feed, warm: int, count: int) -> Cost:
    """Measure `count` batches after `warm` ones; medians over the batches."""
    given = list(batches(feed, warm + count))
    raws = [write(batch) for batch in given]

    async def run() -> list[tuple[float, float]]:
        took = []
        for raw in raws:
            cpu, wall = time.process_time(), time.perf_counter()
            taken = await ingest.take(log, _MEMBERS, _ME, raw, "bench")
            took.append((time.process_time() - cpu, time.perf_counter() - wall))
            assert (taken.refused, taken.new + taken.unchanged) == (0, SIZE), taken
        return took[warm:]

    took = asyncio.run(run())
    return Cost(
        median(cpu for cpu, _ in took) * 1e6 / SIZE,
        median(wall for _, wall in took) * 1e6 / SIZE,
        given[warm:],
    )


def _fill(log: Log, feed: Feed) -> None:
    async def run() -> None:
        with log.read() as conn:
            held = contents.count(conn)
        while held < MILLION:
            taken = await ingest.take(log, _MEMBERS, _ME, write(list(feed.objects(SIZE))), "bench")
            held += taken.new
            if held % 100_000 < SIZE:
                say(f"  {held:,}")

    asyncio.run(run())


def _against_bare(folder: Path, log: Log, early: Cost) -> Iterator[Figure]:
    bare = _bare(folder, log, early)
    ratio = early.cpu_us / bare
    beside = {"bare_loop_us": bare, "wall_us": early.wall_us}
    yield Figure(
        "store.ingest_us_per_object", early.cpu_us, "µs CPU/object", "see ingest_ratio", ratio <= 2.5, beside
    )
    yield Figure(
        "store.ingest_ratio",
        ratio,
        "x bare decode + schema + insert of the same rows",
        "<= 2.5",
        ratio <= 2.5,
        beside,
    )


_TABLES = ("contents", "bodies", "observables", "refs", "tags", "posts", "events")


def _bare(folder: Path, log: Log, early: Cost) -> float:
    """Decode, check by schema, and insert the rows that those batches made, by sqlite3 alone."""
    source = sqlite3.connect(log._writer.url.database or "")
    path = folder / "bare.db"
    Log(f"sqlite:///{path}", utc_now).close()
    target = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "cache_size=-98304"):
        target.execute(f"PRAGMA {pragma}")
    took = []
    with closing(source), closing(target):
        rows = [_rows(source, batch) for batch in early.batches]
        for batch, made in zip(early.batches, rows, strict=True):
            cpu = time.process_time()
            for raw in batch:
                data = msgspec.json.decode(raw)
                assert schemas._validator_of_type(data["type"]).is_valid(data)
            target.execute("BEGIN IMMEDIATE")
            for table, values in made.items():
                marks = ", ".join("?" * len(values[0]))
                names = "texts (rowid, words)" if table == "texts" else table
                target.executemany(f"INSERT INTO {names} VALUES ({marks})", values)
            target.execute("COMMIT")
            took.append(time.process_time() - cpu)
    return median(took) * 1e6 / SIZE


def _rows(source: sqlite3.Connection, batch: list[bytes]) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows that a batch has made, by table, texts included."""
    first, last = (
        source.execute("SELECT content FROM bodies WHERE bytes = ?", (raw,)).fetchone()[0]
        for raw in (batch[0], batch[-1])
    )
    key = {"contents": "seq", "events": "seq"}
    upto = {"events": "(SELECT max(seq) FROM posts WHERE content <= :last)"}
    rows = {
        table: source.execute(
            f"SELECT * FROM {table} WHERE {key.get(table, 'content')} BETWEEN :first AND {upto.get(table, ':last')}",
            {"first": first, "last": last},
        ).fetchall()
        for table in _TABLES
    }
    texts = [(seq, ingest.searchable(decoded(raw))) for seq, raw in rows["bodies"]]
    return rows | {"texts": texts}


def _against_stix2(early: Cost) -> Figure:
    sample = [raw.decode() for raw in early.batches[0][:500]]
    cpu = time.process_time()
    for raw in sample:
        stix2.parse(raw, allow_custom=True)
    alone = (time.process_time() - cpu) * 1e6 / len(sample)
    ratio = alone / early.cpu_us
    beside = {"stix2_parse_us": alone, "ingest_us": early.cpu_us}
    return Figure(
        "store.vs_stix2_parse", ratio, "x objects/s of stix2.parse alone", ">= 5", ratio >= 5, beside
    )


def _page(home: Path, settings: Settings, log: Log) -> Figure:
    starts = [random.Random(1).randrange(1, 2 * MILLION - 5000) for _ in range(60)]  # places, no secrets
    own = export.own_system("bench")

    def bare(conn: sqlite3.Connection, start: int) -> int:
        rows = conn.execute(
            "SELECT content, bytes FROM bodies WHERE content > ? ORDER BY content LIMIT 1000", (start,)
        ).fetchall()
        return len(rows)

    def page(start: int) -> int:
        with log.read() as conn:
            return len(contents.page(conn, start, 1000))

    def released(start: int) -> int:
        where = export.Stretch(start, 4 * MILLION)
        return len(export.page(log, "", own, where, utc_now()).objects)

    path = node_settings.database(home, settings).removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA mmap_size=68719476736")
        yardstick = _cpu(lambda start: bare(conn, start), starts)
    ours, through = _cpu(page, starts), _cpu(released, starts)
    ratio = ours / yardstick
    beside = {"page_us": ours, "bare_us": yardstick, "released_page_us": through}
    return Figure("store.page_ratio", ratio, "x bare keyset read", "<= 3", ratio <= 3, beside)


def _cpu(work: Callable[[int], int], starts: list[int]) -> float:
    """Return the median CPU time in µs; everything is read once before."""
    took = []
    for warm in (True, False):
        for start in starts:
            began = time.process_time()
            assert work(start) == 1000
            if not warm:
                took.append(time.process_time() - began)
    return median(took) * 1e6


def _searches(log: Log) -> Iterator[Figure]:
    feed = Feed(7)
    with log.read() as conn:
        held = contents.page(conn, random.Random(3).randrange(MILLION), QUERIES * 4)  # a place
    values = [value for _, raw in held if (value := _value(raw))][: QUERIES // 2]
    values += [feed.value() for _ in range(QUERIES - len(values))]
    questions = [feed.words(1 + number % 3) for number in range(QUERIES)]
    for name, goal, asked in (("value", 10, values), ("text", 50, questions)):
        took, hits = [], 0
        for text in asked:
            query = Query(limit=50, text=text if name == "text" else "")
            began = time.perf_counter()
            with log.read() as conn:
                found = look.search_objects(conn, query, text if name == "value" else "").found
            took.append((time.perf_counter() - began) * 1e3)
            hits += bool(found)
        took.sort()
        p99 = took[len(took) * 99 // 100]
        beside = {
            "p50_ms": took[len(took) // 2],
            "max_ms": took[-1],
            "found_something": hits,
            "queries": len(took),
        }
        yield Figure(f"store.search_{name}_p99_ms_1m", p99, "ms", f"<= {goal}", p99 <= goal, beside)


def _value(raw: bytes) -> str:
    data = decoded(raw)
    if data["type"] == "ipv4-addr":
        return str(data["value"])
    return str(data["pattern"]).split("'")[-2] if data["type"] == "indicator" else ""


def _memory(home: Path, settings: Settings, feed: Feed) -> Figure:
    """Start the node on a million objects, have it search, page, export and take more; read its private memory."""
    token = (home / "admin.token").read_text().strip()
    base = f"http://{settings.listen}/api/v1"

    def ask(path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(base + path, body, {"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            read: bytes = answer.read()
        return read

    with _serving(home) as process:
        _until(lambda: ask("/status"))
        for number in range(100):
            ask(f"/objects?limit=1000&text={feed.words(1)}")
            ask(f"/objects?value={feed.value().replace('/', '%2F')}")
            if number % 5 == 0:
                ask("/objects", write(list(feed.objects(SIZE))))
        first = json.loads(ask("/objects?limit=1"))["objects"][0]["seq"]
        ask(f"/export?after={first - 100_000}")
        anon, file = _rss(process.pid)
    beside = {"mapped_file_mb": file}
    return Figure("store.rss_mb_1m", anon, "MB", "<= 300", anon <= 300, beside)


@contextmanager
def _serving(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "lezha.cli", "serve", "--home", str(home)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _until(work: Callable[[], object]) -> None:
    for _ in range(300):
        try:
            work()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the node does not answer")


def _rss(pid: int) -> tuple[float, float]:
    """Return resident memory of a process in MB: its own, and files that it has mapped."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) / 1000, int(lines["RssFile"].split()[0]) / 1000


def _on_postgres(folder: Path) -> Iterator[Figure]:
    with server() as url:
        log = Log(url, utc_now)
        there = _ingest(log, Feed(5), 2, MEASURED)
        log.close()
    log = Log(f"sqlite:///{folder / 'beside.db'}", utc_now)
    here = _ingest(log, Feed(5), 2, MEASURED)
    log.close()
    ratio = there.wall_us / here.wall_us
    beside = {"postgres_us": there.wall_us, "sqlite_us": here.wall_us}
    yield Figure("store.postgres_ingest_ratio", ratio, "x SQLite, wall", "<= 3", ratio <= 3, beside)
