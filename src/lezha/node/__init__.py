"""The composition root: settings, identity, clock, the loops that run in the background, and their wiring."""
