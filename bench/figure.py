"""One measured figure, beside the peers and limits measured in the same run."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """State what was measured, what it had to reach and whether it did."""

    figure: str
    """What was measured, as in docs and CHANGELOG: `commit to peer, p99`."""
    value: float
    unit: str
    """Of `value`, and of every value in `beside`: `ms`, `µs CPU/object`, `events/s`."""
    goal: str
    """In words, as a ratio to something in `beside` where it can be: `<= 3 x bare insert`."""
    met: bool
    beside: Mapping[str, float] = field(default_factory=dict)
    """Each peer or limit by name, measured in the same run."""

    def line(self) -> str:
        """Return the figure as one line of JSON, numbers to four significant digits."""
        fields = asdict(self)
        fields["value"] = significant(self.value)
        fields["beside"] = {name: significant(value) for name, value in self.beside.items()}
        return json.dumps(fields, ensure_ascii=False)


def significant(value: float, digits: int = 4) -> float:
    """Return the value rounded to so many significant digits."""
    return float(f"{value:.{digits}g}")
