"""Version 2 to 3: trust and limits of peers, verdicts about what was put aside, documents that change, files, lives."""

from importlib.resources import files

from sqlalchemy import Connection


def migrate(conn: Connection) -> None:
    """Bring the tables and rows of version 2 to version 3.

    What was put aside before gets the numbers 1, 2, … in the order of time: there are no more of those than events, by
    which what comes later is numbered. Of the lives of a peer's database the one that sent last counts as seen last.
    """
    script = files("lezha.store.migrations").joinpath(f"v3.{conn.dialect.name}.sql").read_text()
    for part in script.split(";\n"):
        if statement := part.strip():
            conn.exec_driver_sql(statement)
