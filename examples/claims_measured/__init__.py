"""Sentences of the textbooks on vanishing and exploding gradients, measured: see ../claims.py."""
