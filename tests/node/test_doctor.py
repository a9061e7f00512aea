"""What the doctor finds: each thing that is wrong with a node is found, and a sound node has nothing wrong."""

import ast
import datetime as dt
import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.conftest import ROOT
from tests.federation.keys import PODGORICA, TIRANA

from lezha.cli.node import make
from lezha.federation import carried, tls
from lezha.federation.contact import Contact, Contacts, Jump
from lezha.federation.document import Contact as Duty
from lezha.flows import contact, measure, renew
from lezha.node import database, doctor, identity, rotation
from lezha.node import settings as node_settings
from lezha.node.clock import between, later, utc_now
from lezha.node.doctor import Grade
from lezha.node.errors import NodeError
from lezha.node.settings import Settings
from lezha.sharing.tlp import Tlp
from lezha.store import isolation, lives, peers
from lezha.store.log import Reader, Tx
from lezha.store.peers import Peer, PeerState

NOW = later(utc_now(), minutes=30)  # after all that a test writes
MEMBER = PODGORICA.member


class Patient:
    """A node that does not run. Without more, nothing is wrong with it."""

    def __init__(self, home: Path, url: str = "", endpoint: str = "https://192.0.2.1:8441") -> None:
        self.home = home
        settings = Settings(identity.new_member(), "tirana", endpoint=endpoint, database=url)
        make(home, settings, "National CSIRT", Duty())
        (home / "keys" / "root.pem").unlink()
        self.write(lambda tx: lives.note_backup(tx, NOW))

    def write(self, work: Callable[[Tx], Any]) -> None:
        log = database.open_log(self.home, node_settings.load(self.home))
        with closing(log):
            log.write_now(work)

    def settings(self, **changes: Any) -> None:
        node_settings.write(self.home, replace(node_settings.load(self.home), **changes))

    def enrol(
        self, state: PeerState = PeerState.ACTIVE, member: Any = PODGORICA, name: str = "podgorica"
    ) -> None:
        raw = member.document(name=name)
        one = Peer(member.member, name, state, "", Tlp.STRICT, NOW, 1, "https://192.0.2.2:8441", raw)
        self.write(lambda tx: peers.add(tx, one, "test"))

    def seen(self, **links: Contact) -> None:
        """Note how links were a moment ago, by the names of peers."""
        members = {"podgorica": PODGORICA.member, "vienna": TIRANA.member}
        noted = Contacts(later(NOW, days=-1), NOW, {members[name]: one for name, one in links.items()})
        self.write(lambda tx: contact.keep(tx, noted))

    def codes(self, days: float = 0) -> set[str]:
        """Return what has to be done, so many days from now."""
        found = doctor.examine(self.home, later(NOW, days=days))
        return {one.code for one in found if one.grade is not Grade.NOTE}

    def notes(self) -> set[str]:
        return {one.code for one in doctor.examine(self.home, NOW) if one.grade is Grade.NOTE}

    def one(self, code: str, days: float = 0) -> doctor.Finding:
        (found,) = [one for one in doctor.examine(self.home, later(NOW, days=days)) if one.code == code]
        return found


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path / "tirana")


def test_a_sound_node_has_nothing_wrong(patient: Patient) -> None:
    assert patient.codes() == set()
    assert patient.notes() == {"not_running"}


def test_where_there_is_no_node_there_is_nothing_to_examine(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="There is no node"):
        doctor.examine(tmp_path, NOW)


def test_the_doctor_changes_nothing(patient: Patient) -> None:
    before = {path: path.read_bytes() for path in patient.home.rglob("*") if path.is_file()}
    doctor.examine(patient.home, NOW)
    assert {path: path.read_bytes() for path in patient.home.rglob("*") if path.is_file()} == before


# --- keys and certificates --------------------------------------------------------------------------------------


def test_a_root_key_that_still_lies_on_the_server_is_told(patient: Patient) -> None:
    (patient.home / "keys" / "root.pem").write_text("")
    (patient.home / "keys" / "root.pem").chmod(0o600)
    assert patient.codes() == {"root_key"}


@pytest.mark.parametrize(("days", "grade"), [(60, None), (70, Grade.SOON), (88, Grade.NOW), (100, Grade.NOW)])
def test_a_certificate_that_was_not_renewed_is_told_before_it_ends(
    patient: Patient, days: int, grade: Grade | None
) -> None:
    found = {one.code: one for one in doctor.examine(patient.home, later(NOW, days=days))}
    assert (found["leaf"].grade if "leaf" in found else None) == grade
    if grade:
        assert abs(between(found["leaf"].when, later(NOW, days=90))) < 7200


def test_a_tls_root_is_told_a_year_before_it_ends(patient: Patient) -> None:
    assert "tls_root" not in patient.codes(days=3650 - 370)
    assert patient.one("tls_root", days=3650 - 360).grade is Grade.SOON
    assert patient.one("tls_root", days=3650 - 30).grade is Grade.NOW


@pytest.mark.parametrize("text", [None, "-----BEGIN PRIVATE KEY-----"])
def test_a_key_without_which_certificates_can_not_be_renewed_is_missed(
    patient: Patient, text: str | None
) -> None:
    path = patient.home / "keys" / "tls-root.pem"
    path.unlink() if text is None else path.write_text(text)
    assert patient.codes() == {"tls_root_key"}


@pytest.mark.parametrize(
    "text", [None, "no key\n", f"{carried.new_key()[0]}\n"], ids=["missing", "no key", "another key"]
)
def test_a_key_for_carried_files_that_peers_do_not_encrypt_to_is_told(
    patient: Patient, text: str | None
) -> None:
    path = patient.home / "keys" / identity.CARRY
    path.unlink() if text is None else path.write_text(text)
    assert patient.codes() == {"carry_key"}


def test_a_certificate_of_another_root_is_none(patient: Patient) -> None:
    member = node_settings.load(patient.home).member
    root = tls.make_root(member, dt.datetime.now(dt.UTC))
    leaf = tls.make_leaf(root, member, dt.datetime.now(dt.UTC))
    (patient.home / "keys" / "tls-leaf.pem").write_bytes(leaf.certificate + leaf.key)
    assert patient.codes() == {"leaf"}


def test_a_missing_signing_key_is_told_and_the_rest_is_looked_at(patient: Patient) -> None:
    (patient.home / "keys" / "signing.pem").unlink()
    patient.settings(listen="0.0.0.0:8440")
    assert patient.codes() == {"identity", "plain_http"}


# --- the folder -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["signing.pem", "tls-leaf.pem"])
def test_a_key_that_others_can_read_is_told(patient: Patient, name: str) -> None:
    (patient.home / "keys" / name).chmod(0o640)
    assert name in patient.one("readable_by_others").what
    assert "mode 640" in patient.one("readable_by_others").what


def test_what_lies_in_an_open_folder_must_be_closed_itself(patient: Patient) -> None:
    (patient.home / "admin.token").chmod(0o644)
    assert patient.codes() == set()
    patient.home.chmod(0o755)
    assert patient.codes() == {"readable_by_others"}


@pytest.mark.parametrize(("mib", "grade"), [(2000, None), (900, Grade.SOON), (100, Grade.NOW)])
def test_a_disk_that_is_nearly_full_is_told(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, mib: int, grade: Grade | None
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _home: SimpleNamespace(free=mib << 20))
    found = [one.grade for one in doctor.examine(patient.home, NOW) if one.code == "disk"]
    assert found == ([grade] if grade else [])


# --- settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"listen": "192.0.2.1:8440"}, "plain_http"),
        ({"listen": "127.0.0.1:8441"}, "listen"),
        ({"listen": "8440"}, "listen"),
        ({"proxies": ("*",)}, "proxies"),
        ({"proxies": ("nginx",)}, "proxies"),
        ({"policy": "policy.cedar"}, "policy"),
        ({"member": "identity--00000001-0000-4000-8000-000000000000"}, "identity"),
    ],
)
def test_settings_that_make_no_sense_are_told(patient: Patient, changes: dict[str, Any], code: str) -> None:
    patient.settings(**changes)
    assert patient.codes() == {code}


def test_settings_that_can_not_be_read_are_a_finding(patient: Patient) -> None:
    (patient.home / "lezha.toml").write_text("member = 3")
    assert patient.codes() == {"settings"}


def test_a_password_in_the_settings_is_told_and_not_shown(patient: Patient) -> None:
    patient.settings(database="postgresql+psycopg://lezha:hunter2@127.0.0.1:9/lezha")
    found = doctor.examine(patient.home, NOW)
    assert {"password", "database"} <= {one.code for one in found}
    assert "hunter2" not in repr(found)


def test_what_may_be_meant_is_a_note(patient: Patient) -> None:
    patient.settings(checkpoint_hours=0, endpoint="https://192.0.2.99:8441", link_listen="127.0.0.1:8441")
    (patient.home / "policy.cedar").write_text("permit (principal, action, resource);")
    assert patient.codes() == set()
    assert patient.notes() == {"not_running", "checkpoints_off", "endpoint", "policy"}


# --- the log ----------------------------------------------------------------------------------------------------


def test_a_database_that_is_gone_is_told(patient: Patient) -> None:
    (patient.home / "lezha.db").unlink()
    assert patient.codes() == {"database"}


def test_a_database_that_is_damaged_is_told(patient: Patient) -> None:
    path = patient.home / "lezha.db"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
    path.write_bytes(raw)
    assert patient.codes() == {"database"}


def test_a_node_on_postgresql_is_looked_at_and_measured_too(tmp_path: Path, postgres_url: str) -> None:
    patient = Patient(tmp_path / "tirana", postgres_url)
    assert patient.codes() == set()
    patient.enrol()
    patient.seen(podgorica=Contact(later(NOW, hours=-2)))
    assert patient.codes() == {"peer_silent"}
    with closing(Reader(postgres_url)) as reader, reader.read() as conn:
        measured = measure.measure(conn, lambda _member: None, NOW)
    assert measured.bytes > 1 << 20
    assert [one.silent for one in measured.peers] == [True]


def test_a_node_without_a_backup_is_told_and_one_with_an_old_one(patient: Patient) -> None:
    assert patient.codes(days=6) == set()
    assert patient.one("backup", days=8).when == NOW
    patient.write(lambda tx: lives.note_backup(tx, ""))
    assert patient.codes() == {"backup"}


def test_a_clock_that_was_set_back_is_told(patient: Patient) -> None:
    found = doctor.examine(patient.home, later(NOW, hours=-3))
    assert [one.code for one in found if one.grade is Grade.NOW] == ["clock_back"]


def test_a_clock_that_jumped_while_the_node_ran_is_told(patient: Patient) -> None:
    noted = Contacts(NOW, NOW, {}, Jump(NOW, -90.0))
    patient.write(lambda tx: contact.keep(tx, noted))
    assert "90 s back" in patient.one("clock_jump").what
    assert "clock_jump" not in patient.codes(days=8)


def test_a_node_that_runs_and_notes_nothing_hangs(patient: Patient) -> None:
    patient.seen()
    with (patient.home / node_settings.LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert patient.codes() == set()
        assert "hangs" in patient.codes(days=0.1)
    assert "hangs" not in patient.codes(days=0.1)


# --- peers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "code"),
    [
        (Contact(later(NOW, hours=-2), phase="unreachable", fault="It does not answer."), "peer_silent"),
        (Contact(NOW, phase="unreachable", fault="It does not answer."), "peer_unreachable"),
        (Contact(NOW, phase="held", fault="It takes nothing."), "peer_held"),
        (Contact(NOW, phase="fork", fault="It holds another frame."), "fork"),
        (Contact(NOW, phase="up to date", skew_s=90.0), "clock_skew"),
        (Contact(NOW, phase="up to date", skew_s=-400.0), "clock_skew"),
    ],
)
def test_what_is_wrong_with_a_peer_is_told_with_its_name(patient: Patient, link: Contact, code: str) -> None:
    patient.enrol()
    patient.seen(podgorica=link)
    assert patient.codes() == {code}
    assert "podgorica" in patient.one(code).what


def test_a_peer_in_order_is_not_told_of(patient: Patient) -> None:
    patient.enrol()
    patient.seen(podgorica=Contact(NOW, phase="up to date", skew_s=0.3))
    assert patient.codes() == set()


def test_a_peer_that_this_node_has_suspended_is_not_told_of(patient: Patient) -> None:
    patient.enrol(PeerState.SUSPENDED)
    patient.seen(podgorica=Contact(later(NOW, hours=-20), phase="unreachable"))
    assert patient.codes() == set()


def test_if_all_peers_clocks_are_off_the_same_way_it_is_this_machines(patient: Patient) -> None:
    patient.enrol()
    patient.enrol(member=TIRANA, name="vienna")
    patient.seen(podgorica=Contact(NOW, skew_s=400.0), vienna=Contact(NOW, skew_s=390.0))
    assert "this machine's is wrong" in patient.one("clock_skew").what
    patient.seen(podgorica=Contact(NOW, skew_s=400.0), vienna=Contact(NOW, skew_s=0.1))
    assert "The clock of podgorica" in patient.one("clock_skew").what


def test_how_peers_were_when_the_node_stopped_is_told_as_of_then(patient: Patient) -> None:
    patient.enrol()
    patient.seen(podgorica=Contact(later(NOW, hours=-2)))
    found = {one.code: one for one in doctor.examine(patient.home, later(NOW, days=3))}
    assert "silent for 2 h" in found["peer_silent"].what
    assert NOW in found["not_running"].what


def test_a_stream_that_forked_is_told_for_thirty_days(patient: Patient) -> None:
    patient.enrol()
    patient.write(lambda tx: tx.event("fork", MEMBER, MEMBER, number=3))
    assert "podgorica" in patient.one("fork").what
    assert "fork" not in patient.codes(days=31)


def test_the_root_of_a_peer_is_told_a_year_before_it_ends(patient: Patient) -> None:
    patient.enrol()
    ends = tls.expires(PODGORICA.written().tls_root.encode())
    days = (ends - dt.datetime.now(dt.UTC)).days
    assert "peer_root" in patient.codes(days=days - 300)
    assert "peer_root" not in patient.codes(days=days - 400)


def test_a_peer_whose_phrase_nobody_compares_is_a_note(patient: Patient) -> None:
    patient.enrol(PeerState.PENDING)
    assert "peer_pending" not in patient.notes()
    found = doctor.examine(patient.home, later(NOW, days=2))
    assert "peer_pending" in {one.code for one in found if one.grade is Grade.NOTE}


# --- the paper --------------------------------------------------------------------------------------------------


def told_by_the_code() -> Iterator[str]:
    for path in (ROOT / "src" / "lezha" / "node" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name("Finding"), args=[_, ast.Constant(str(code)), *_]):
                    yield code
                case ast.Tuple([ast.Attribute(ast.Name("Grade")), ast.Constant(str(code)), _]):
                    yield code
                case _:
                    pass


def test_the_page_tells_what_is_looked_for() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    part = page[page.index("## What is looked for") :]
    listed = re.findall(r"^\| `(\w+)` \|", part[: part.index("\n## ", 3)], re.MULTILINE)
    assert listed == sorted(set(told_by_the_code()))


def test_a_node_that_nobody_can_connect_to_is_examined_like_any_other(tmp_path: Path) -> None:
    assert Patient(tmp_path / "node", endpoint="").codes() == set()


def test_the_tls_root_in_use_may_be_one_of_two(tmp_path: Path) -> None:
    patient = Patient(tmp_path / "node")
    root = tmp_path / "root.pem"
    rotation.replace_root(patient.home, root, dt.datetime.now(dt.UTC))
    rotation.rotate_tls(patient.home, root, dt.datetime.now(dt.UTC))
    assert patient.codes() == set()


def test_a_node_that_sends_nothing_says_so_and_why(patient: Patient) -> None:
    patient.write(lambda tx: isolation.begin(tx, "a laptop is missing", "officer"))
    assert "by officer: a laptop is missing" in patient.one("isolated").what
    patient.write(lambda tx: isolation.end(tx, "officer"))
    assert patient.codes() == set()


def test_a_node_that_was_taken_over_says_so(patient: Patient) -> None:
    patient.enrol()
    patient.seen(podgorica=Contact(NOW, (), "fenced off", "another database"))
    assert patient.codes() == {"fenced_off"}


def test_peers_that_do_not_know_of_new_keys_are_named(patient: Patient, tmp_path: Path) -> None:
    patient.enrol()
    root = tmp_path / "root.pem"
    rotation.replace_root(patient.home, root, dt.datetime.now(dt.UTC))
    rotation.rotate_signing(patient.home, root, dt.datetime.now(dt.UTC))
    known = identity.load(patient.home).known
    patient.write(lambda tx: renew.announce(tx, known))
    (found,) = [one for one in doctor.examine(patient.home, NOW) if one.code == "keys_waiting"]
    assert found.grade is Grade.NOTE
    assert "(signing)" in found.what
