"""`python -m lezha.cli` is `lezha`."""

from lezha.cli import main

main()
