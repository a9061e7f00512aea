"""A process that writes to a log: `python -m tests.store.writer_process URL LABEL COMMITS`.

It says "ready", waits for a line, makes so many commits of one or two events each, and prints the seqs it was given.
"""

import sys

from lezha.node.clock import utc_now
from lezha.store.log import Log, Tx


def main(url: str, label: str, commits: int) -> None:
    log = Log(url, utc_now)

    def write(number: int) -> list[int]:
        def work(tx: Tx) -> list[int]:
            return list(tx.events("tested", [f"{label} {number}"] * (1 + number % 2), label))

        return log.write_now(work)

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(" ".join(str(seq) for number in range(commits) for seq in write(number)))
    log.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
