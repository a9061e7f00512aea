"""Files carried by hand between two real nodes of which never both run at once: there is no network between them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.battery.nodes import RunningNode, bundle, indicator, lezha, link, many

from lezha.federation.carried import LENGTH_BYTES, MAGIC

Two = tuple[RunningNode, RunningNode]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    """Tirana, and an enclave: they have met, and Tirana runs."""
    nodes = RunningNode(tmp_path, "tirana"), RunningNode(tmp_path, "enclave", reachable=False)
    try:
        for node in nodes:
            node.start()
        link(*nodes)
        nodes[1].stop()
        yield nodes
    finally:
        for node in nodes:
            if node.process is not None:
                node.kill()


def instead(off: RunningNode, on: RunningNode) -> None:
    """Walk from one machine to the other."""
    off.stop()
    on.start()


def carry(node: RunningNode, *arguments: str | Path) -> Any:
    done = lezha("carry", *arguments, "--home", node.home, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def held(node: RunningNode, label: str) -> int:
    return int(node.rows("SELECT count(*) FROM contents WHERE name LIKE ?", f"{label}%")[0][0])


def test_a_file_brings_what_is_released_and_the_receipt_comes_back(two: Two, tmp_path: Path) -> None:
    tirana, enclave = two
    tirana.publish(many(600, "one"), "enclave")
    file, receipts, back = (tmp_path / name for name in ("1.carried", "1.receipts", "2.carried"))
    written = carry(tirana, "write", "--peer", "enclave", file)
    assert (written["first"], written["last"], written["records"]) == (1, 600, 3)
    assert b"one-1" not in file.read_bytes(), "only the enclave can open it"
    instead(tirana, enclave)
    read = carry(enclave, "read", file, "--receipts", receipts)
    assert [(one["kind"], one["peer"], one["head"]) for one in read][-1] == ("batch", "tirana", 600)
    assert held(enclave, "one") == 600
    assert carry(enclave, "read", file)[-1]["head"] == 600, "once more does no harm"
    enclave.publish(bundle([indicator("back.example")]), "tirana")
    assert carry(enclave, "write", "--peer", "tirana", back)["last"] == 1
    instead(enclave, tirana)
    assert carry(tirana, "read", receipts)[-1] == {
        "kind": "receipt", "peer": "enclave", "head": 600, "refused": [], "missing": 0,
    }  # fmt: skip
    assert (tirana.peer(enclave)["delivered"], tirana.peer(enclave)["queued"]) == (600, 0)
    carry(tirana, "read", back)
    assert held(tirana, "back") == 1
    assert carry(tirana, "write", "--peer", "enclave", tmp_path / "nothing")["records"] == 0
    assert not (tmp_path / "nothing").exists()
    told = [kind for (kind,) in tirana.rows("SELECT kind FROM events WHERE kind = 'carried'")]
    assert len(told) == 3, "every record that was written is an event"


def test_an_object_that_is_larger_than_a_batch_is_carried_whole(two: Two, tmp_path: Path) -> None:
    tirana, enclave = two
    large = json.loads(indicator("large.example")) | {"description": "x" * 1_048_000}
    tirana.publish(bundle([json.dumps(large).encode(), indicator("small.example")]), "enclave")
    written = carry(tirana, "write", "--peer", "enclave", tmp_path / "large.carried")
    assert (written["last"], written["records"]) == (2, 2)
    instead(tirana, enclave)
    assert carry(enclave, "read", tmp_path / "large.carried")[-1]["head"] == 2
    assert held(enclave, "large") == held(enclave, "small") == 1


def test_files_that_are_lost_out_of_order_cut_off_or_altered_do_no_harm(two: Two, tmp_path: Path) -> None:
    tirana, enclave = two
    first, second = tmp_path / "first", tmp_path / "second"
    tirana.publish(many(10, "one"), "enclave")
    carry(tirana, "write", "--peer", "enclave", "--unanswered", first)
    tirana.publish(many(10, "two"), "enclave")
    assert carry(tirana, "write", "--peer", "enclave", "--unanswered", second)["first"] == 11
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"PK\x03\x04")
    altered = tmp_path / "altered"
    altered.write_bytes(first.read_bytes()[:-40] + bytes(40))
    cut = tmp_path / "cut"
    cut.write_bytes(second.read_bytes()[:-1])
    instead(tirana, enclave)
    (ahead,) = carry(enclave, "read", second)
    assert (ahead["head"], ahead["missing"], held(enclave, "two")) == (0, 1, 0)
    assert carry(enclave, "read", cut) == []
    spoilt, kept = tmp_path / "spoilt", tmp_path / "kept"
    spoilt.write_bytes(first.read_bytes() + altered.read_bytes()[len(MAGIC) :])
    done = lezha("carry", "read", spoilt, "--receipts", kept, "--home", enclave.home)
    assert (done.returncode, kept.read_bytes()[: len(MAGIC)]) == (1, MAGIC), "the receipt for what was good"
    for bad, words in (
        (stranger, "no file that"),
        (altered, "altered on the way"),
        (tmp_path, "can't be read"),
    ):
        done = lezha("carry", "read", bad, "--home", enclave.home)
        assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    carry(enclave, "read", first)
    (taken,) = carry(enclave, "read", second)
    assert (taken["head"], held(enclave, "one"), held(enclave, "two")) == (20, 10, 10)
    assert enclave.count("quarantine") == 0
    assert enclave.alive


def test_a_file_is_for_one_peer_and_from_one_member(two: Two, tmp_path: Path) -> None:
    tirana, _ = two
    tirana.publish(bundle([indicator("one.example")]), "enclave")
    file = tmp_path / "file"
    carry(tirana, "write", "--peer", "enclave", file)
    done = lezha("carry", "read", file, "--home", tirana.home)
    assert (done.returncode, "is for another node" in done.stderr) == (1, True)
    again = lezha("carry", "write", "--peer", "enclave", file, "--home", tirana.home)
    assert (again.returncode, "name a new file" in again.stderr) == (1, True)
    tirana.post("/isolation", {})
    isolated = lezha("carry", "write", "--peer", "enclave", tmp_path / "other", "--home", tirana.home)
    assert (isolated.returncode, "isolated" in isolated.stderr) == (1, True)
    assert not (tmp_path / "other").exists()
    raw = file.read_bytes()
    size = int.from_bytes(raw[len(MAGIC) : len(MAGIC) + LENGTH_BYTES], "big")
    assert len(raw) == len(MAGIC) + LENGTH_BYTES + size


def test_a_new_key_for_files_is_told_by_file_and_what_is_on_its_way_is_opened_still(
    two: Two, tmp_path: Path
) -> None:
    tirana, enclave = two
    on_its_way, back, after = (tmp_path / name for name in ("on-its-way", "back", "after"))
    tirana.publish(bundle([indicator("before.example")]), "enclave")
    carry(tirana, "write", "--peer", "enclave", on_its_way)
    root = enclave.home / "keys" / "root.pem"
    done = lezha("identity", "rotate", "carry", "--root-key", root, "--home", enclave.home)
    assert (done.returncode, "delete that once none can be on its way" in done.stderr) == (0, True), (
        done.stderr
    )
    assert "carry_key" not in lezha("doctor", "--home", enclave.home, "--json").stdout
    instead(tirana, enclave)
    carry(enclave, "read", on_its_way)
    assert held(enclave, "before") == 1
    assert carry(enclave, "write", "--peer", "tirana", back)["last"] == 1, "its new document"
    instead(enclave, tirana)
    carry(tirana, "read", back)
    tirana.publish(bundle([indicator("after.example")]), "enclave")
    carry(tirana, "write", "--peer", "enclave", after)
    instead(tirana, enclave)
    (former,) = (enclave.home / "keys").glob("former-carry-*.key")
    former.unlink()
    carry(enclave, "read", after)
    assert held(enclave, "after") == 1
    (enclave.home / "keys" / "carry.key").unlink()
    assert '"carry_key"' in lezha("doctor", "--home", enclave.home, "--json").stdout
