"""Settings: one file, read strictly, and errors that say which line to mend."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lezha.node import settings
from lezha.node.errors import NodeError
from lezha.node.settings import Settings
from lezha.sharing.tlp import Tlp

MEMBER = "identity--a1000000-0000-4000-8000-000000000000"
SMALL = f'member = "{MEMBER}"\nname = "tirana"\n'


def home(folder: Path, text: str) -> Path:
    (folder / settings.FILE).write_text(text)
    return folder


def test_what_is_not_set_has_a_safe_default(tmp_path: Path) -> None:
    found = settings.load(home(tmp_path, SMALL))
    assert found == Settings(MEMBER, "tirana")
    assert found.listen.startswith("127.0.0.1:")
    assert found.peer_clearance is not Tlp.RED


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = Settings(
        MEMBER, 'Tir"anë\\', "[::1]:1", "0.0.0.0:2", "https://x:3", "postgresql:///a", Tlp.RED, 7000
    )
    settings.write(tmp_path, written)
    assert settings.load(tmp_path) == written


def test_an_empty_folder_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="`lezha init` makes one"):
        settings.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (SMALL + "lisen = '0.0.0.0:1'\n", "lisen"),
        (SMALL + "peer_clearance = 'white'\n", r"peer_clearance.*clear, green, amber, amber\+strict, red"),
        (SMALL + "max_bundle_bytes = -5\n", ">= 1024 .*max_bundle_bytes"),
        (SMALL + "max_bundle_bytes = 9999999999\n", "max_bundle_bytes"),
        (SMALL + "max_bundle_bytes = 'many'\n", "max_bundle_bytes"),
        ('name = "tirana"\n', "member"),
        (SMALL + "listen = \n", "line 3"),
        (SMALL + "retention = [{type = 'Report', days = 9}]\n", "type"),
        (SMALL + "retention = [{type = 'report', days = 0}]\n", "days"),
        (SMALL + "retention = [{type = 'report', days = 999999999}]\n", "days"),
        (SMALL + "retention = [{type = 'identity', days = 9}]\n", "identity can't be purged by age"),
        (SMALL + "policy = '../policy.cedar'\n", r"\$\.policy"),
        (SMALL + "link_per_address = 0\n", ">= 1 .*link_per_address"),
        (SMALL + "link_per_address = 501\n", "<= 500 .*link_per_address"),
        (SMALL + "policy = 'admin.token'\n", r"\$\.policy"),
        (SMALL + "constituency = ['gov.al', '192.0.2.0/33']\n", "'192.0.2.0/33' is no address, no network"),
        (SMALL + "constituency = ['https://gov.al/']\n", "and no domain"),
        (SMALL + "constituency = 'gov.al'\n", "constituency"),
        (SMALL + "constituency = [1]\n", "constituency"),
        (SMALL + SMALL, "line 3"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(NodeError, match=names):
        settings.load(home(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / settings.FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NodeError, match="can't be used"):
        settings.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8440", ("127.0.0.1", 8440)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert settings.address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "8440", ":8440", "host", "host:", "host:-1", "host:65536", "host:http", "host:²"]
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(NodeError, match=r"write host:port, e\.g\."):
        settings.address(text)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        _, port = settings.address(text)
    except NodeError:
        return
    assert 0 <= port <= 65535
