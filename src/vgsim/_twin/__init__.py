"""The readable second implementation: evaluate, replay, PyTorch."""
