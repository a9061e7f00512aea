"""TAXII 2.1 (OASIS Standard, 10 June 2021): its vocabulary, its filters and its pages. Pure: no I/O."""
