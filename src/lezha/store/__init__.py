"""The log: everything this node knows, in one database, written by one writer.

*Contents* are exact bytes under their SHA-256. *Statements* are signed envelopes about contents. *Events* are the
ordered, append-only record of every change; their `seq` is internal, no recipient ever sees it. *Views* are the
numbered lists of what each recipient was given. Observables, references, withheld decisions and cursors are
derived from the rest in the same transaction.

`log.Log` runs the writer: one thread, one transaction for all the work that is waiting (group commit), each
piece in its own savepoint, durable before anyone is told that it is done (SQLite WAL with `synchronous=FULL`,
or PostgreSQL). If a piece fails, only that piece is undone; if the commit fails, all of its pieces fail and nothing
was written. Readers have connections of their own and see a snapshot.

The other modules are functions over a connection, one noun per module. They hold SQL and no rules.
"""
