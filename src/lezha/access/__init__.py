"""Who may do what on this node: tokens, roles and one table of rights."""
