"""The command line. Every command that prints takes `--json`; progress and logs go to stderr.

Exit codes: 0 done; 1 refused or failed, the reason is on stderr; 2 wrong usage; 3 the node can't be reached; 130
interrupted.
"""

from lezha.cli.main import main

__all__ = ["main"]
