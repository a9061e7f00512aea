"""The one table of rights, said a second time: whoever changes it changes it here too."""

import pytest

from lezha.access.rights import RIGHTS, Principal, Right, Role

COLUMNS = [
    "look",
    "publish",
    "peers",
    "communities",
    "tokens",
    "sense",
    "purge",
    "receive",
    "audit",
    "quarantine",
    "isolate",
    "measure",
    "collect",
    "post",
]
TABLE = {
    #              look publ peer comm toke sens purg rece audi quar isol meas coll post
    "admin": "        yes  yes  yes  yes  yes  no   yes  no   yes  yes  yes  yes  no   no",
    "coordinator": "  yes  yes  no   yes  no   no   no   no   no   yes  yes  no   no   no",
    "analyst": "      yes  no   no   no   no   no   no   no   no   no   no   no   no   no",
    "sensor": "       no   no   no   no   no   yes  no   no   no   no   no   no   no   no",
    "system": "       no   no   no   no   no   no   no   no   no   no   no   no   yes  yes",
    "constituent": "  no   no   no   no   no   no   no   yes  no   no   no   no   yes  no",
    "auditor": "      no   no   no   no   no   no   no   no   yes  no   no   no   no   no",
    "monitor": "      no   no   no   no   no   no   no   no   no   no   no   yes  no   no",
}
CELLS = [
    (role, right, answer == "yes")
    for role, row in TABLE.items()
    for right, answer in zip(COLUMNS, row.split(), strict=True)
]


@pytest.mark.parametrize(("role", "right", "allowed"), CELLS)
def test_a_role_may_what_the_table_says(role: str, right: str, allowed: bool) -> None:
    assert Principal("1", "someone", Role(role)).may(Right(right)) is allowed


def test_the_table_has_every_role_and_every_right() -> None:
    assert set(TABLE) == set(Role) == set(RIGHTS)
    assert set(COLUMNS) == set(Right)


@pytest.mark.parametrize("alone", [Role.SENSOR, Role.SYSTEM, Role.CONSTITUENT])
def test_what_a_machine_may_no_person_may(alone: Role) -> None:
    people = (Role.ADMIN, Role.COORDINATOR, Role.ANALYST, Role.AUDITOR, Role.MONITOR)
    assert all(not (RIGHTS[role] & RIGHTS[alone]) for role in people)


def test_what_machines_may_they_share_but_for_collections() -> None:
    assert RIGHTS[Role.SYSTEM] & RIGHTS[Role.CONSTITUENT] == {Right.COLLECT}
    assert not RIGHTS[Role.SENSOR] & (RIGHTS[Role.SYSTEM] | RIGHTS[Role.CONSTITUENT])
