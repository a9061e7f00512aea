"""What a coordinator can do about each reason for which something is withheld."""

from typing import Final

from lezha.sharing.release import Reason

_REMEDIES: Final = {
    Reason.QUARANTINED: "Ask the author named in the object for a later version that it signs itself.",
    Reason.PURGED: "Nothing: what was destroyed stays so. Its author can publish a new object.",
    Reason.INCOMPLETE: (
        "Publish it again if it is yours, with what it names or without naming that; else ask its author to."
    ),
    Reason.RECALLED: "Nothing here: only its author can publish it anew.",
    Reason.EXPIRED: "Ask its author, or if that is you decide yourself, to publish it again with a later expiry.",
    Reason.UNREADABLE_MARKING: "Ask its author for a version that carries a standard TLP 2.0 marking.",
    Reason.SUSPENDED: "Confirm the phrase of a pending peer, or resume the peer: `lezha peer resume NAME`.",
    Reason.NO_STATEMENT: "Publish it yourself if it is yours to publish; else ask its author to.",
    Reason.EMPTY_AUDIENCE: "Ask its author to name who may have it.",
    Reason.NOT_IN_AUDIENCE: (
        "Publish it to them too if it is yours, or a tear-line: `lezha release tearline`; else ask its author to."
    ),
    Reason.ROSTER_UNKNOWN: "Ask a steward for the community's roster, and accept it: `lezha community accept`.",
    Reason.ROSTER_BEHIND: "Ask a steward for the latest roster of the community, and accept it.",
    Reason.ROSTER_EXPIRED: "Ask the community's stewards for a new roster, and accept it.",
    Reason.NOT_ADMITTED_HERE: "Approve the admission if it is right: `lezha community approve`.",
    Reason.MEMBERSHIP_ENDED: "Ask the community's stewards for a roster with a new term, or name the member.",
    Reason.ADMITTED_LATER: "Publish it again if it is yours: that counts for the members of today.",
    Reason.CLEARANCE: "Publish a tear-line, or clear the peer for more: `lezha peer clear NAME LEVEL`.",
    Reason.CONSTITUENT_TLP: "Publish a tear-line at AMBER or wider, or ask its author for one.",
    Reason.CAME_FROM_THERE: "Nothing: they have it.",
    Reason.NOT_ONWARD: "Ask its author to let it be passed on (`--onward`), or to tell them itself.",
    Reason.RELAY_TLP: "Ask its author to name them in the audience, or to tell them itself.",
    Reason.UNMARKED: "Publish a version that carries its marking in object_marking_refs, or ask its author for one.",
    Reason.POLICY: "Nothing from here but a change of the member's own policy: `lezha policy show`.",
}


def remedy(reason: Reason) -> str:
    """Say in a sentence what can be done so that a recipient gets what is withheld for `reason`."""
    return _REMEDIES[reason]
