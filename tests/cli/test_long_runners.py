"""What runs until it is stopped: what it says on stderr, and that programs can read its logs."""

import http.client
import json
import signal
import ssl
import subprocess
import time
from contextlib import closing
from pathlib import Path

from tests.battery.nodes import LEZHA, RunningNode, until


def test_a_sensor_waits_for_a_log_that_is_not_there_and_says_so(node: RunningNode, tmp_path: Path) -> None:
    token, log, told = tmp_path / "token", tmp_path / "dns.log", tmp_path / "told"
    token.write_text(node.post("/tokens", {"name": "waiting", "role": "sensor"})["token"])
    command: list[str | Path] = [LEZHA, "sensor", "--follow", log, "--node", node.url, "--token-file", token]
    with told.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        waits = f"{log} can't be read yet: No such file or directory. The sensor waits for it."
        until(lambda: "stop with Ctrl-C" in told.read_text(), 20)
        assert waits in told.read_text().splitlines()
        log.write_text('{"ts":1767600000.0,"query":"a.example"}\n')
        time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    stopped = [json.loads(line) for line in told.read_text().splitlines() if '"sensor.stopped"' in line]
    assert [one["lines"] for one in stopped] == [1]


def test_logs_of_a_node_are_json_after_the_line_that_says_where_it_listens(node: RunningNode) -> None:
    stranger = ssl._create_unverified_context()  # as somebody who knows nothing of the node
    with closing(http.client.HTTPSConnection("127.0.0.1", node.link_port, context=stranger)) as asking:
        asking.request("POST", "/link/v1/frames", b"")
        assert asking.getresponse().status == 403
    until(lambda: bool(node.logged("peer.refused")), 20)
    first, *others = node.log.read_text().splitlines()
    assert first.startswith(f"{node.name}: people and tools at {node.url}, ")
    assert all(set(json.loads(line)) >= {"event", "level", "timestamp"} for line in others)
