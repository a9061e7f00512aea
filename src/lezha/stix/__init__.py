"""STIX 2.1 as this node takes it: strict about what it says, and never touching the bytes that say it.

Bytes come in (`bundle.split` for what carries objects, `read` for one object) and leave as `Object`s: the
exact bytes, their hash, and the little that the rest of the node needs to decide (id, version, creator,
markings, references). What STIX does not define survives, since the bytes are kept; what could be read in two
ways is refused. On the way an object passes, in this order,

    parse       strict JSON: no name twice, no NaN, no nesting bombs, nothing too large
    musts       the version: STIX 1.x and 2.0 are refused with the name of the tool that upgrades them
    schema      OASIS's own JSON schemas, compiled, with their slips put right (`repairs`)
    musts       the rules that the schemas do not state, each with its clause: `identifiers`, `times`,
                `references`, `granular`, `observables`, `meta`, `patterns`

and whatever is wrong is one `StixError` with the object's id and the clause. One bad object never spoils
those beside it. What takes two objects to see stands in `versions`. Everything here is pure, except that
`schema` reads OASIS's schemas from their package, once.
"""

from lezha.stix.bundle import slices, split, write
from lezha.stix.errors import DuplicateKey, Invalid, NotJson, StixError, TooLarge, WrongVersion
from lezha.stix.identifiers import deterministic_id
from lezha.stix.limits import LIMITS, Limits
from lezha.stix.new import encode, stable_id
from lezha.stix.objects import Object, read
from lezha.stix.versions import check_successor, same_substance

__all__ = [
    "LIMITS",
    "DuplicateKey",
    "Invalid",
    "Limits",
    "NotJson",
    "Object",
    "StixError",
    "TooLarge",
    "WrongVersion",
    "check_successor",
    "deterministic_id",
    "encode",
    "read",
    "same_substance",
    "slices",
    "split",
    "stable_id",
    "write",
]
