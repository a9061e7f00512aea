"""How rows of a shelf are looked up: none of it walks a shelf for a few of its rows."""

from typing import Any

import pytest
from sqlalchemy import event

from lezha.store import offers
from lezha.store.log import Log

ASKED: dict[str, dict[str, Any]] = {
    "of a type": {"types": ["malware"]},
    "of an object": {"ids": ["malware--1"]},
    "of an object and a type": {"ids": ["malware--1"], "types": ["malware"]},
}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", ASKED)
def test_what_is_asked_for_by_type_or_object_is_found_by_an_index(log: Log, what: str) -> None:
    with log.read() as conn:
        asked: list[tuple[str, Any]] = []

        @event.listens_for(conn, "before_cursor_execute")
        def _asked(_conn: Any, _cursor: Any, question: str, given: Any, *_more: Any) -> None:
            asked.append((question, given))

        offers.following(conn, 1, 0, 10, **ASKED[what])
        (question, given), *_ = asked
        plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}", given)]
    assert any("offers USING INDEX offers_by_" in step for step in plan), plan
    assert not any("offers USING PRIMARY KEY" in step or "SCAN offers" in step for step in plan), plan
