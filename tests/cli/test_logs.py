"""The logs of a node: a JSON object a line, and no secret in any of them."""

import json
import urllib.parse
import urllib.request
from pathlib import Path

from tests.battery.nodes import RunningNode, as_peer, bundle, indicator, link, until

WRONG = "lzh_0123456789ab_a-token-that-somebody-has-mistyped"


def test_no_secret_is_in_the_logs_and_each_line_has_a_name(tmp_path: Path) -> None:
    tirana, podgorica = RunningNode(tmp_path, "tirana"), RunningNode(tmp_path, "podgorica")
    secrets = {WRONG, tirana.token, podgorica.token}
    try:
        tirana.start()
        podgorica.start()
        link(tirana, podgorica)
        secrets.add(tirana.post("/peers/invite", {"name": "vienna"})["invitation"])
        secrets.add(tirana.post("/tokens", {"name": "zeek", "role": "sensor"})["token"])
        for token in (WRONG, tirana.token):
            _sign_in(tirana, token)
        tirana.call("GET", "/status", token=WRONG)
        as_peer(tirana, None, "POST", "/link/v1/frames", b"")
        raw = bundle([indicator("secret-plan.example")])
        assert tirana.call("POST", "/publish", raw, {"tlp": "amber", "to": "podgorica"}).status == 200
        tirana.call("GET", "/objects", query={"text": "secret-plan\0"})
        until(lambda: podgorica.counts()["statements"] == 1, 20)
        podgorica.kill()
        until(lambda: bool(tirana.logged("link.fault")), 60)
    finally:
        for node in (tirana, podgorica):
            if node.process is not None:
                node.kill()
    text = tirana.log.read_text() + podgorica.log.read_text()
    secrets |= {line for node in (tirana, podgorica) for line in _keys(node)}
    assert {one["event"] for one in _lines(text)} >= {
        "sign_in",
        "sign_in.refused",
        "peer.refused",
        "link.fault",
    }
    assert [one for one in secrets if one in text] == []
    assert "secret-plan" not in text


def test_each_line_says_what_how_grave_and_when(tmp_path: Path) -> None:
    node = RunningNode(tmp_path, "tirana")
    node.start()
    as_peer(node, None, "POST", "/link/v1/frames", b"")
    assert node.stop() == 0
    first, *others = node.log.read_text().splitlines()
    assert first.startswith("tirana: people and tools at ")
    assert others
    for line in others:
        assert {"event", "level", "timestamp"} <= json.loads(line).keys()


def _lines(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _keys(node: RunningNode) -> set[str]:
    """Return the lines of a node's secret keys."""
    text = "".join(path.read_text() for path in (node.home / "keys").glob("*.pem"))
    return {line for line in text.splitlines() if len(line) > 40 and "-----" not in line}


def _sign_in(node: RunningNode, token: str) -> None:
    form = urllib.parse.urlencode({"token": token, "next": "/"}).encode()
    request = urllib.request.Request(f"{node.url}/sign-in", form, {"Origin": node.url})
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
