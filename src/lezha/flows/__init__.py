"""One short file per arrow of the picture in the README: what happens in which order, and nothing else.

    ingest     outside bytes -> contents, ready for the log; without a statement they go into it for own systems
    publish    an own bundle and its terms -> signed statements in the log
    share      the log -> numbered views -> frames for a peer, items for a sensor
    receive    a peer's batch -> the log, or quarantine -> a signed receipt
    quarantine what was put aside, and a person's verdict -> the log after all, or nothing
    detect     indicators -> a sensor; its reports -> sightings in the log
    introduce  two nodes become peers
    convene    rosters of communities: drafted, signed, accepted
    export     the log -> pages of objects that one recipient may have
    look       the log -> answers for tools: objects, links, who was told
    desk       the log -> what a duty officer has to know now

What one flow starts, another goes on with through the log; some use a neighbour's parts (`detect` signs as `publish`
does). `authority` says whose objects a member may bring, `paging` how an export travels. Rules are in the rooms below,
SQL in `store`.
"""
