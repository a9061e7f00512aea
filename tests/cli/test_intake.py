"""Files are read in batches, packed or not, and reading goes on at the end of any batch."""

import gzip
from pathlib import Path

import pytest
from tests.stix.examples import indicator_bytes

from lezha.cli import intake
from lezha.cli.errors import CliError
from lezha.cli.intake import Batch, Damaged
from lezha.stix import write

PARTS = [indicator_bytes(name=f"number {number}") for number in range(20)]
LAYOUTS = {"bundle": write(PARTS), "list": b"[" + b",\n".join(PARTS) + b"]", "lines": b"\n".join(PARTS)}


@pytest.fixture(autouse=True)
def _few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_OBJECTS", 3)


def objects(batches: list[Batch]) -> list[bytes]:
    return [raw for one in batches for raw in one.objects]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_goes_on_at_the_end_of_any_batch(tmp_path: Path, layout: str, packed: bool) -> None:
    file = tmp_path / "feed"
    raw = LAYOUTS[layout]
    file.write_bytes(gzip.compress(raw) if packed else raw)
    whole = list(intake.batches(str(file)))
    assert objects(whole) == PARTS
    assert [len(one.objects) for one in whole] == [3, 3, 3, 3, 3, 3, 2]
    for number, one in enumerate(whole):
        assert raw[: one.end].endswith(one.objects[-1])
        assert one.position <= file.stat().st_size
        rest = list(intake.batches(str(file), one.end))
        assert [again.objects for again in rest] == [again.objects for again in whole[number + 1 :]]


def test_a_batch_has_few_large_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_BYTES", len(PARTS[0]) + 20)
    (tmp_path / "feed").write_bytes(LAYOUTS["bundle"])
    assert [len(one.objects) for one in intake.batches(str(tmp_path / "feed"))] == [2] * 10


@pytest.mark.parametrize(
    "raw", [LAYOUTS["list"][:-1], gzip.compress(LAYOUTS["list"])[:-9], gzip.compress(LAYOUTS["list"][:-1])]
)
def test_of_a_damaged_file_what_came_before_is_given(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "feed").write_bytes(raw)
    batches, found = intake.batches(str(tmp_path / "feed")), list[Batch]()
    with pytest.raises(Damaged):
        found.extend(batches)
    assert objects(found) == PARTS


def test_an_object_that_is_too_large_is_named_in_its_batch(tmp_path: Path) -> None:
    large = indicator_bytes(description="x" * (2 << 20))
    (tmp_path / "feed").write_bytes(write([PARTS[0], large, PARTS[1]]))
    (batch,) = intake.batches(str(tmp_path / "feed"))
    assert batch.objects == (PARTS[0], PARTS[1])
    assert [(one.id, one.clause) for one in batch.skipped] == [
        ("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "limit object_bytes")
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="can't be read: No such file"):
        next(intake.batches(str(tmp_path / "missing")))
