"""Statistics: estimates and intervals, fits, depth scales."""
