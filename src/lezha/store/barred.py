"""What bars a content from counting, as conditions on `schema.contents` that several questions share."""

from typing import Final

from sqlalchemy import and_, exists

from lezha.store import schema

_CONTENTS, _DISPUTES, _PEERS = schema.contents, schema.disputes, schema.peers

IN_DISPUTE: Final = and_(
    _DISPUTES.c.stix_id == _CONTENTS.c.stix_id,
    _DISPUTES.c.version == _CONTENTS.c.version,
    _DISPUTES.c.creator == _CONTENTS.c.creator,
)
"""Joins the dispute in which a content is. What another member wrote under the same id has no part in it."""

CLAIMS_A_MEMBER: Final = exists().where(_PEERS.c.member == _CONTENTS.c.creator, _PEERS.c.state != "pending")
"""The content names as creator a member that is known here by its keys, maybe since after it came."""
