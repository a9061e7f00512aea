"""Nodes telling one another: signed things, numbered frames, and the state machines of a link.

*Signed things* (`envelope`) are DSSE envelopes with Ed25519, one payload type per kind: node documents, release
statements, tombstones, rosters, receipts. They are verified over the received bytes before these are parsed, and the
key must belong to the member that the payload names.

*A stream* runs from one node to one peer. The sender decides, numbers and records each frame in one commit
before it sends it; numbers are dense, and each frame's chain value covers all before it. `outbox` decides what to
do next: greet, send, wait, pause. The receiver places each frame (`inbox`): a duplicate is acknowledged again, a
gap is answered with the head so that the sender rewinds, a fork (another frame under a known number) stops the
stream and alarms. What is next is verified and stored, or put aside in quarantine with a code: a refused frame
never blocks the rest. The signed receipt follows the commit.

*Failure and recovery.* A lost reply costs one greeting: the receiver's head is durable with what it stored, so the
sender goes on from there and nothing is taken twice. A peer that is away costs a pause, 0.2 s growing to 8 s. A
receiver restored from a backup reports a lower head and is sent the rest again. The hashes of
statements keep what was known from being taken twice. A sender restored from a backup contradicts what its peers
hold: they report a fork and take nothing, until an operator looks. A peer that takes no more for now says for how
long (`pace`): the sender waits and goes on where it was.

`client` does I/O and `tls` reads key files; everything else here is pure.
"""
