"""How an export travels: page by page, each a line of JSON that says what follows, then the objects' bytes."""

from typing import Final

import msgspec

MEDIA_TYPE: Final = "application/vnd.lezha.export"


class PageHead(msgspec.Struct, frozen=True):
    """What a page holds: objects of these `sizes`, their bytes one after another, and a line break.

    `cursor` is where to go on after this page. `withheld` counts by reason what the recipient may not have of what
    was passed; `last` says that nothing follows.
    """

    cursor: int
    sizes: tuple[int, ...]
    withheld: dict[str, int]
    last: bool
