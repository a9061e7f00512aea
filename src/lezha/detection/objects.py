"""The observables that a STIX object names, whichever way it names them: what the log is searched by.

For *detection* ask `pattern.read` instead: a value that an indicator merely mentions must not report it.
"""

from collections.abc import Iterator, Mapping

from lezha.detection.errors import ObservableError
from lezha.detection.observable import Kind, Observable, normalise
from lezha.detection.pattern import read

__all__ = ["of_object"]

_VALUES = {
    "ipv4-addr": Kind.IPV4,
    "ipv6-addr": Kind.IPV6,
    "domain-name": Kind.DOMAIN,
    "url": Kind.URL,
    "email-addr": Kind.EMAIL,
}
_OTHERS = frozenset({"indicator", "file", "artifact"})
# STIX 2.1 §10.6 hash-algorithm-ov, and as publishers write it.
_HASHES = {"MD5": Kind.MD5, "SHA1": Kind.SHA1, "SHA256": Kind.SHA256}


def of_object(data: Mapping[str, object]) -> tuple[Observable, ...]:
    """Give the distinct observables of a STIX 2.1 object, anchors of an indicator's pattern included.

    What is malformed or of a kind that no telemetry shows is passed over: this never raises. SCOs name a value
    (§6.4, §6.5, §6.9, §6.10, §6.19) or hashes (`file` §6.7, `artifact` §6.1), indicators a pattern (§4.7).
    """
    object_type = data.get("type")
    if not isinstance(object_type, str):
        return ()
    if kind := _VALUES.get(object_type):
        return tuple(_observed(kind, data.get("value")))
    return tuple(dict.fromkeys(_named(object_type, data))) if object_type in _OTHERS else ()


def _named(object_type: str, data: Mapping[str, object]) -> Iterator[Observable]:
    if object_type == "indicator":
        yield from _of_pattern(data)
    else:
        yield from _of_hashes(data.get("hashes"))
    if object_type == "artifact":
        yield from _observed(Kind.URL, data.get("url"))


def _of_pattern(data: Mapping[str, object]) -> Iterator[Observable]:
    pattern, pattern_type = data.get("pattern"), data.get("pattern_type")
    if isinstance(pattern, str) and isinstance(pattern_type, str):
        reading = read(pattern, pattern_type)
        yield from reading.observables
        yield from reading.anchors


def _of_hashes(hashes: object) -> Iterator[Observable]:
    if isinstance(hashes, Mapping):
        for name, value in hashes.items():
            kind = _HASHES.get(str(name).replace("-", "").replace("_", "").upper())
            if kind is not None:
                yield from _observed(kind, value)


def _observed(kind: Kind, value: object) -> Iterator[Observable]:
    if isinstance(value, str):
        try:
            yield normalise(kind, value)
        except ObservableError:
            return
