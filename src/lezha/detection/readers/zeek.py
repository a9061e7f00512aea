"""Zeek's logs as JSON: conn, dns, http, files, ssl, smtp and all others, read alike.

Zeek writes them with `LogAscii::use_json=T` or its json-streaming-logs package: one object per line, `ts` the time.
"""

import json
from datetime import UTC, datetime

import msgspec

from lezha.detection.engine import Record

__all__ = ["ZeekReader"]

_JOINED = "host+uri"
_DEFAULT_PORTS = (80, 443)
_MILLISECONDS_FROM = 1e11  # seconds: the year 5138; JSON::TS_MILLIS is above this since 1973
_decode = msgspec.json.Decoder().decode


class ZeekReader:
    """See `engine.Reader`."""

    def parse(self, line: bytes) -> Record | None:
        """Read one JSON object.

        Bytes that are not UTF-8 and lone surrogates must not hide the rest of a line: what strict JSON refuses is
        tried once more with replacements.
        """
        try:
            record = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = _parse_leniently(line)
        return record if isinstance(record, dict) else None

    def seen(self, record: Record) -> datetime | None:
        """Read `ts`: seconds since 1970, milliseconds (JSON::TS_MILLIS) or ISO 8601 (JSON::TS_ISO8601)."""
        stamp = record.get("ts", record.get("_write_ts"))
        try:
            if isinstance(stamp, str):
                moment = datetime.fromisoformat(stamp)
                return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
            if isinstance(stamp, (int, float)):
                return datetime.fromtimestamp(stamp / 1000 if stamp >= _MILLISECONDS_FROM else stamp, UTC)
        except (ValueError, OverflowError, OSError):
            return None
        return None

    def joined(self, record: Record) -> tuple[tuple[str, str], ...]:
        """Compose `http.log`'s URL from `host`, `id.resp_p` and `uri`, once as http and once as https.

        http.log tells no scheme, and what is decrypted before Zeek sees it was https to the victim: either scheme
        hits. Ports 80 and 443 count as the scheme's own. A `uri` that is a whole URL, as proxies are asked
        (RFC 9112 §3.2.2), needs no composing: it hits as any text.
        """
        host, uri = record.get("host"), record.get("uri")
        if not isinstance(host, str) or not isinstance(uri, str) or not host or not uri.startswith("/"):
            return ()
        rest = f"{_authority(host, record.get('id.resp_p'))}{uri}"
        return ((_JOINED, f"http://{rest}"), (_JOINED, f"https://{rest}"))


def _authority(host: str, port: object) -> str:
    """Add the server's port unless `host` has one; Zeek cuts it off the Host header."""
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    has_port = ":" in host.rpartition("]")[2]
    return host if has_port or not isinstance(port, int) or port in _DEFAULT_PORTS else f"{host}:{port}"


def _parse_leniently(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
