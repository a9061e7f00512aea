"""`python -m lezha` is `lezha`."""

from lezha.cli import main

main()
