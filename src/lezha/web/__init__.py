"""The two listeners: one for people and tools, one for peers. They parse, authorise and render; flows do the work."""
