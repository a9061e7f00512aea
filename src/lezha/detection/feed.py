"""What a node and its sensor say to one another. Pure."""

import msgspec


class Item(msgspec.Struct, frozen=True):
    """One row of a sensor's view: watch for these (kind, value) until `valid_until` and report them as `key`.

    `key` is `{member} {indicator id}`: what one member says of an indicator never changes what another said.

    Of a key's rows the last counts: the node has weighed the versions. One without observables ends the watch (the
    indicator was revoked, is in dispute, was recalled or purged, or can't be matched).

    `unmatched` says in words what of the indicator a live sensor can't match; empty if nothing.

    `action` is the most that may be done about what is watched for: `watch`, `propose` a block to a person, or `block`.
    It is what the node trusts that member with, or another member that tells the very same bytes; `watch` alone where
    the handling (PAP) asks for no more than looking.
    """

    number: int
    key: str
    version: str
    observables: tuple[tuple[str, str], ...]
    valid_until: str
    unmatched: str
    action: str = "watch"


class Feed(msgspec.Struct, frozen=True):
    """The rows of a sensor's view after the one it named. `head` is the last number looked at.

    `incarnation` names one life of the node's database, what it trusts its peers with, and whether it is isolated: when
    it changes, numbers mean something else (the node was restored), or actions are others than before. Then the sensor
    reads its view anew.
    `more` says that there are rows after `head`, or may be.
    """

    head: int
    items: tuple[Item, ...]
    incarnation: str = ""
    more: bool = False


class Taken(msgspec.Struct, frozen=True):
    """What became of a batch of reports: the sightings made, and keys that this sensor was never given."""

    sightings: tuple[str, ...]
    unknown: tuple[str, ...]
