"""What is simulated: networks and their parts."""

from vgsim._networks import mlp, rnn, sequential  # kinds of networks, in the order of their names

__all__ = ["mlp", "rnn", "sequential"]
