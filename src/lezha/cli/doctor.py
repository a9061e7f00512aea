"""`lezha doctor`: what of this node is broken or will break, when, and what to do."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import typer

from lezha.cli.console import note, show_json, table
from lezha.cli.options import DEFAULT_HOME, Home, Json
from lezha.node.clock import between, lasting, utc_now

if TYPE_CHECKING:
    from lezha.node.doctor import Finding


def doctor(home: Home = DEFAULT_HOME, json: Json = False) -> None:
    """Say what of this node is broken or will break, when, and what to do: certificates, rosters, clocks, disk, silent
    peers, backups, keys, settings.

    Reads the node's folder and database itself, whether the node runs or not, and changes nothing. Exits with 1 if
    anything is to be done now or soon; notes alone are no reason. Example: lezha doctor --home /var/lib/lezha
    """
    from lezha.node.doctor import Grade, examine

    now = utc_now()
    # In a thread of its own: Ctrl-C would wait for one that is within the database.
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(examine, home.expanduser(), now).result()
    grave = [one for one in found if one.grade is not Grade.NOTE]
    if json:
        show_json({"fine": not grave, "at": now, "findings": found})
    else:
        table(
            ("when", "what", "what to do"),
            [(_when(one, now), one.what, one.do) for one in found],
            "Nothing is wrong.",
        )
        if found and not grave:
            note("Nothing has to be done.")
    if grave:
        raise typer.Exit(1)


def _when(one: "Finding", now: str) -> str:
    if not one.when:
        return one.grade.value
    away = between(now, one.when)
    length = lasting(abs(away))
    return f"in {length}" if away > 0 else f"{one.grade.value}, since {length} ago"
