"""`lezha backup` and `lezha restore` as an operator meets them: what is said, what is kept silent, exit codes."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.battery.nodes import LEZHA, RunningNode, lezha

WORDS = "seven horses on a hill in june"


class Kept:
    """A node that does not run, a pair of keys, and a passphrase."""

    def __init__(self, folder: Path) -> None:
        self.node = RunningNode(folder, "tirana")
        self.key, self.passphrase = folder / "backup.key", folder / "passphrase"
        self.recipient = lezha("backup", "keygen", "--out", self.key).stdout.strip()
        self.passphrase.write_text(f"{WORDS}\nand a second line\n")

    def backup(self, file: Path | str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        options = options or ("--recipient", self.recipient)
        return lezha("backup", "create", file, "--home", self.node.home, *options)

    def secrets(self) -> list[str]:
        secret = [line for line in self.key.read_text().splitlines() if not line.startswith("#")]
        return [*secret, WORDS, self.node.token, "PRIVATE KEY"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def file(kept: Kept) -> Path:
    path = kept.key.with_name("x.age")
    assert kept.backup(path).returncode == 0
    return path


def sentence(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Check that a command failed with one sentence, and return it."""
    assert (done.returncode, done.stdout) == (code, ""), done
    (line,) = done.stderr.splitlines()
    assert line.startswith("lezha: ")
    assert line.endswith(".")
    return line


def test_a_backup_is_made_checked_and_restored(kept: Kept, tmp_path: Path) -> None:
    done = kept.backup(tmp_path / "x.age")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{tmp_path / 'x.age'} holds tirana ({kept.node.member}) as of ")
    checked = lezha("backup", "check", tmp_path / "x.age", "--identity-file", kept.key)
    assert checked.stdout.startswith(f"{tmp_path / 'x.age'} is whole: tirana ({kept.node.member}) as of ")
    home = tmp_path / "back"
    restored = lezha("restore", tmp_path / "x.age", "--home", home, "--identity-file", kept.key)
    assert restored.returncode == 0
    assert restored.stdout.startswith(f"{home} holds tirana ({kept.node.member}) as of ")
    assert "must never run again" in restored.stderr
    assert restored.stderr.splitlines()[-1] == f"Next: lezha serve --home {home}"


def test_a_passphrase_is_the_first_line_of_its_file(kept: Kept, tmp_path: Path) -> None:
    assert kept.backup(tmp_path / "x.age", "--passphrase-file", kept.passphrase).returncode == 0
    short = tmp_path / "first"
    short.write_text(WORDS)
    done = lezha("restore", tmp_path / "x.age", "--home", tmp_path / "back", "--passphrase-file", short)
    assert done.returncode == 0, done.stderr


def test_a_backup_may_go_through_a_pipe(kept: Kept, tmp_path: Path) -> None:
    command = [LEZHA, "backup", "create", "-", "--recipient", kept.recipient, "--home", str(kept.node.home)]
    with (tmp_path / "piped").open("wb") as out:
        made = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=True)
    assert made.stderr.startswith("- holds tirana")
    with (tmp_path / "piped").open("rb") as source:
        done = lezha(
            "restore", "-", "--home", tmp_path / "b", "--identity-file", kept.key, "--json", stdin=source
        )
    assert json.loads(done.stdout)["member"] == kept.node.member
    assert sentence(kept.backup("-", "--recipient", kept.recipient, "--json"), 2)


def test_no_secret_is_ever_said(kept: Kept, file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("something else entirely")
    url = "postgresql+psycopg://u:hunter22@127.0.0.1:1/x"
    runs = [
        kept.backup(tmp_path / "a.age"),
        kept.backup(tmp_path / "b.age", "--passphrase-file", kept.passphrase, "--json"),
        kept.backup(tmp_path / "c.age", "--recipient", kept.secrets()[0]),
        lezha("backup", "check", tmp_path / "b.age", "--passphrase-file", kept.passphrase),
        lezha("backup", "check", tmp_path / "b.age", "--passphrase-file", wrong),
        lezha("backup", "check", tmp_path / "b.age", "--identity-file", kept.passphrase),
        lezha("backup", "check", file, "--passphrase-file", kept.key),
        lezha("restore", file, "--home", tmp_path / "d", "--identity-file", kept.key),
        lezha("restore", file, "--home", tmp_path / "e", "--identity-file", kept.key, "--database", url),
        lezha("restore", file, "--home", tmp_path / "f", "--identity-file", kept.key,
              env={**os.environ, "LEZHA_DATABASE": url}),
    ]  # fmt: skip
    assert [run.returncode for run in runs] == [0, 0, 1, 0, 1, 1, 1, 0, 1, 1]
    said = "".join(run.stdout + run.stderr for run in runs)
    assert "Traceback" not in said
    for secret in [*kept.secrets(), "hunter22", "something else"]:
        assert secret not in said
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "no backups in the clear"),
        (["--recipient", "age1x", "--passphrase-file", "/dev/null"], "not both"),
    ],
)
def test_there_is_no_backup_in_the_clear(kept: Kept, options: list[str], words: str, tmp_path: Path) -> None:
    done = lezha("backup", "create", tmp_path / "x.age", "--home", kept.node.home, *options)
    assert words in sentence(done, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--recipient", "age1x"], "not a public key of age"),
        (["--passphrase-file", "/dev/null"], "The passphrase is empty"),
        (["--passphrase-file", "/nowhere/x"], "No such file"),
        (["--passphrase-file", "/dev/zero"], "too large"),
    ],
)
def test_a_key_that_is_none_is_refused(kept: Kept, options: list[str], words: str, tmp_path: Path) -> None:
    assert words in sentence(kept.backup(tmp_path / "x.age", *options))
    assert list(tmp_path.iterdir()) == []


def test_what_can_t_be_written_or_read_is_said_in_a_sentence(kept: Kept, file: Path, tmp_path: Path) -> None:
    assert "never overwritten" in sentence(kept.backup(file))
    assert "No such file" in sentence(kept.backup("/nowhere/x.age"))
    key = ("--identity-file", kept.key)
    assert "No such file" in sentence(lezha("restore", tmp_path / "x.age", "--home", tmp_path / "b", *key))
    assert "Is a directory" in sentence(lezha("restore", tmp_path, "--home", tmp_path / "b", *key))
    assert "not in the age format" in sentence(lezha("restore", kept.key, "--home", tmp_path / "b", *key))
    assert "is not empty" in sentence(lezha("restore", file, "--home", kept.node.home, *key))
    assert "Give --identity-file or" in sentence(lezha("restore", file, "--home", tmp_path / "b"), 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_restore_that_is_stopped_leaves_nothing(number: signal.Signals, kept: Kept, tmp_path: Path) -> None:
    command = [LEZHA, "restore", "-", "--home", str(tmp_path / "b"), "--identity-file", str(kept.key)]
    reading, writing = os.pipe()
    # Nothing comes through the pipe: it would wait for ever.
    with os.fdopen(writing, "wb"), os.fdopen(reading, "rb") as source:
        waiting = subprocess.Popen(command, stdin=source, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        while not (tmp_path / "b").exists():
            time.sleep(0.01)
        waiting.send_signal(number)
        assert waiting.communicate(timeout=20) == (b"", b"lezha: interrupted\n")
    assert waiting.returncode == 130
    assert list(tmp_path.iterdir()) == []
