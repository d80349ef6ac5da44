"""Studies: many networks, counted until each is known well enough."""
