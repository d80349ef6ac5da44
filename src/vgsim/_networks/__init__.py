"""What is simulated: networks and their parts."""

# kinds of networks, in the order of their names
from vgsim._networks import gru, lstm, mlp, rnn, sequential

__all__ = ["gru", "lstm", "mlp", "rnn", "sequential"]
