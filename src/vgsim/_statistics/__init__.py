"""Statistics: estimates and confidence intervals, fits, depth scales."""
