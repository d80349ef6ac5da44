"""What is simulated: networks and their parts."""

# kinds of networks, in the order of their names, those without a description last
from vgsim._networks import gru, lstm, mlp, rnn, sequential, undescribed

__all__ = ["gru", "lstm", "mlp", "rnn", "sequential", "undescribed"]
