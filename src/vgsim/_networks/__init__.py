"""Descriptions of networks and their parts, and sweeps over their fields."""
