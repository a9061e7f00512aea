"""lezha: the node that a national CSIRT runs to warn its allies and be warned by them."""

__version__ = "0.1.0"
