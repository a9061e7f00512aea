"""Who may receive what: pure rules, no I/O.

Everything that leaves a node, over a link, to a sensor, as a file or on a page for others, needs a
`Released` from `release.release`. Nothing outside this package can make one, so there is no second way out.
The signed statement of the member that published an object decides (`Terms`); markings inside the object can
only narrow it; what cannot be read denies.
"""
