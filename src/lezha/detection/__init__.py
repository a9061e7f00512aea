"""Detection: from what allies publish to what this member sees of it in its own logs.

```
 indicator ─ pattern.read ─▶ Reading ─ observables ─▶ engine.add(observable, indicator id)
                                │                            │
                                └─ unmatched (said, shown)   ▼
 log files ─ follow ─▶ chunks of whole lines ─ readers ─▶ engine.scan ─▶ hits
                                                                          │
 the member's node ◀─ sighting.build ◀─ batches of reports ◀─ Aggregator ◀┘
```

**In.** Indicators, as text from strangers, and logs, as bytes that attackers have a hand in. Both are hostile: lengths,
depths and times are bounded, and the only exceptions are those of `errors`. A value becomes an `Observable` in one
canonical form (`observable.normalise`); two texts are the same exactly if their observables are equal.

**Hit.** An engine finds in every text of a record the tokens that `words` defines, and looks them up: an address also
in networks, a name also as each of its parents, a URL also where the log has it in two fields. All engines find the
same. A hit says which key, which observable, which field, and when by the log's own time.

**Sighting.** Hits become counts per indicator and window; the first is reported at once. A batch of reports is sent
until it is confirmed, and is the same batch each time, so a sighting is told once however often it is sent. It names
the member, never a host, a user or a line of the log: those stay with the sensor.

**What is not matched is said.** A pattern that a sensor can't look for, or only in part, has the reason in plain words
in `Reading.unmatched`, for every list that shows the indicator. No part of a conjunction is ever reported alone. Lines
that can't be read are counted (`Scan.skipped`, `Follower.skipped`), not passed over in silence.

Only `follow` touches files; everything else takes values and returns values.
"""

from lezha.detection.engine import Engine, Hit, Reader, Record, Scan
from lezha.detection.errors import DetectionError, ObservableError, ReaderError, SightingError
from lezha.detection.objects import of_object
from lezha.detection.observable import Kind, Observable, normalise
from lezha.detection.pattern import Reading, read
from lezha.detection.plain import PlainEngine
from lezha.detection.sensor import Aggregator, Batch, Report

__all__ = [
    "Aggregator",
    "Batch",
    "DetectionError",
    "Engine",
    "Hit",
    "Kind",
    "Observable",
    "ObservableError",
    "PlainEngine",
    "Reader",
    "ReaderError",
    "Reading",
    "Record",
    "Report",
    "Scan",
    "SightingError",
    "normalise",
    "of_object",
    "read",
]
