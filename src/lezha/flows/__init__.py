"""One short file per arrow of the picture in the README: what happens in which order, and nothing else.

    ingest     outside bytes -> contents, ready for the log
    publish    an own bundle and its terms -> signed statements in the log
    share      the log -> numbered views -> frames for a peer, items for a sensor
    receive    a peer's batch -> the log, or quarantine -> a signed receipt
    detect     indicators -> a sensor; its reports -> sightings in the log
    introduce  two nodes become peers
    convene    rosters of communities: drafted, signed, accepted

Flows never talk to one another: each appends to the log or reads from it. Rules are in the rooms below, SQL in
`store`.
"""
