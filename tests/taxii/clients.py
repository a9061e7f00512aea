"""TAXII clients as they are outside: HTTP, and nothing of lezha's own TAXII code."""

import base64
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tests.battery.nodes import RunningNode

from lezha.stix import bundle, encode

TAXII: Final = "application/taxii+json;version=2.1"
STIX: Final = "application/stix+json;version=2.1"
FIRST, LAST = "X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last"
ROOT: Final = "/taxii2/node"
COLLECTIONS: Final = f"{ROOT}/collections"
ALL, INBOX = f"{COLLECTIONS}/all", f"{COLLECTIONS}/inbox"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
_LISTS: Final = ("objects", "versions", "collections")


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def items(self) -> list[Any]:
        """Return what the one list of the answer holds; nothing where it is left out."""
        assert self.status == 200, self.raw
        found = [self.body[name] for name in _LISTS if name in self.body]
        return list(found[0]) if found else []


class Client:
    """One who asks, with Basic credentials unless a header says something else."""

    def __init__(self, node: RunningNode, name: str, token: str) -> None:
        self.node, self.name, self.token = node, name, token

    @property
    def basic(self) -> str:
        return f"Basic {base64.b64encode(f'{self.name}:{self.token}'.encode()).decode()}"

    def ask(
        self,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send one request, again after a while where the answer is 429, as a client is asked to; a header that is
        None is left out.
        """
        sent: dict[str, str | None] = {"Accept": TAXII, "Authorization": self.basic}
        if method == "POST":
            sent["Content-Type"] = TAXII
        sent |= headers or {}
        shown = {name: value for name, value in sent.items() if value is not None}
        url = path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        while (answer := self._once(method, url, body, shown)).status == 429:
            time.sleep(float(answer.headers["Retry-After"]))
        return answer

    def post(self, *objects: object, to: str = INBOX) -> Answer:
        """Post an envelope of objects."""
        return self.ask(f"{to}/objects/", method="POST", body=envelope(*objects))

    def posted(self, *objects: object) -> dict[str, Any]:
        """Post an envelope and return its status."""
        answer = self.post(*objects)
        assert answer.status == 202, answer.raw
        found: dict[str, Any] = answer.body
        return found

    def items(self, path: str, **query: object) -> list[Any]:
        """Return what a list holds on its first page."""
        return self.ask(path, query).items

    def pages(self, path: str, query: Mapping[str, object] | None = None) -> Iterator[Answer]:
        """Walk a list by `next`, the same query with it, until nothing says that there is more."""
        answer = self.ask(path, query)
        yield answer
        while answer.body.get("more"):
            answer = self.ask(path, {**(query or {}), "next": answer.body["next"]})
            yield answer

    def collections(self) -> dict[str, dict[str, Any]]:
        """Return the collections by their aliases."""
        return {one["alias"]: one for one in self.items(f"{COLLECTIONS}/")}

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        conn = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=60)
        try:
            conn.request(method, url, body, dict(headers))
            with conn.getresponse() as answer:
                return Answer(answer.status, answer.headers, answer.read())
        finally:
            conn.close()


def envelope(*objects: object) -> bytes:
    return json.dumps({"objects": objects}, ensure_ascii=False, separators=(",", ":")).encode()


def assert_error(answer: Answer, status: int) -> None:
    """TAXII 2.1 §3.6.1: an error message in TAXII's media type, with a title and its status as a string."""
    assert answer.status == status, answer.raw
    assert answer.headers["Content-Type"] == TAXII
    assert isinstance(answer.body["title"], str)
    assert answer.body["title"]
    assert answer.body["http_status"] == str(status)


# --- what is served ---------------------------------------------------------------------------------------------------

CREATED: Final = "2026-01-05T08:00:00.000Z"


def common(kind: str, number: int, **more: object) -> dict[str, Any]:
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{number:08d}-0000-4000-8000-000000000000",
        "created": CREATED,
        "modified": CREATED,
        "name": f"{kind} {number}",
        **more,
    }


def indicator(number: int, **more: object) -> dict[str, Any]:
    pattern = f"[domain-name:value = 'sign-{number}.example']"
    return common("indicator", number, pattern=pattern, pattern_type="stix", valid_from=CREATED) | more


def version(number: int, day: int) -> dict[str, Any]:
    """Return the version of a day of an indicator."""
    return indicator(number, modified=f"2026-02-{day:02d}T00:00:00.000Z", description=f"as of day {day}")


def domain(number: int) -> dict[str, Any]:
    """Return an observable: it has neither a version nor, here, a `spec_version`."""
    return {
        "type": "domain-name",
        "id": f"domain-name--{number:08d}-0000-4000-8000-000000000000",
        "value": f"sign-{number}.example",
    }


def publish(node: RunningNode, tlp: str, to: str, *objects: dict[str, Any]) -> None:
    told = node.publish(bundle.write([encode(one) for one in objects]), to, tlp)
    assert len(told["taken"]) == len(objects), told
