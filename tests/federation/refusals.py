from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lezha.federation.errors import Refused


@contextmanager
def refused(code: str) -> Iterator[None]:
    """What is done within must be refused with this code."""
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code == code
