"""Rows of a result as structs."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def record(row: Mapping[Any, Any], kind: type[T]) -> T:
    """Return a row (`row._mapping`) as a `kind`, whose fields are named as the columns."""
    # SQLAlchemy's column names are a subclass of str, which msgspec does not take for keys.
    return msgspec.convert({str.__str__(name): value for name, value in row.items()}, kind)
