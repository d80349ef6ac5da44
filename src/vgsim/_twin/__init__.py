"""The twin, a second implementation in readable NumPy: evaluate, replay, PyTorch."""
