"""Small recurrent networks of every kind, for the comparison of kernels, twin and PyTorch."""

import numpy as np

from vgsim import GRU, LSTM, RNN, ClipNorm, ClipValue

ROWS = np.random.default_rng(3).normal(size=(9, 6))
SHIFTS = {"init": "lecun_normal", "bias_std": 0.3}

# name: (network, settings)
CELLS = {
    "lstm": (LSTM(9, 6), {}),
    "lstm, forget bias": (LSTM(9, 5, forget_bias=-2.0, **SHIFTS), {"batch_size": 3}),
    "lstm, no bias": (LSTM(9, 5, forget_bias=0.0, gain=2.0), {"batch_size": 2, "loss": "mse"}),
    "lstm, chrono": (LSTM(9, 7, chrono=50.0), {"batch_size": 2}),
    "lstm, chrono and ζ": (LSTM(9, 6, chrono=5.5, forget_bias=0.5, bias_std=0.4), {}),
    "lstm, chrono of two": (LSTM(7, 3, chrono=2.0), {"batch_size": 2}),
    "lstm, torch": (LSTM(9, 6, init="torch_recurrent"), {"batch_size": 3, "loss": "cross_entropy"}),
    "lstm, orthogonal": (LSTM(9, 6, init="orthogonal", gain=1.5), {"batch_size": 3}),
    "lstm, identity": (LSTM(9, 5, init="identity", gain=3.0), {"batch_size": 2}),
    "lstm, uniform": (LSTM(9, 6, init="glorot_uniform", input_std=2.0), {"inputs": ROWS}),
    "lstm, zeros": (LSTM(9, 6), {"batch_size": 2, "inputs": "zeros"}),
    "lstm, zeros and no drive": (LSTM(9, 6, input_std=0.0), {"inputs": "zeros"}),
    "lstm, of one": (LSTM(9, 1, gain=2.0), {"batch_size": 3}),
    "lstm, norm": (LSTM(9, 6, gain=6.0, clip=ClipNorm(1.0)), {"batch_size": 2}),
    "lstm, value": (LSTM(9, 6, gain=6.0, clip=ClipValue(0.3)), {"batch_size": 2, "loss": "mse"}),
    "gru": (GRU(9, 6), {}),
    "gru, update bias": (GRU(9, 5, update_bias=1.5, gain=2.0, **SHIFTS), {"batch_size": 3}),
    "gru, torch": (GRU(9, 6, init="torch_recurrent"), {"batch_size": 2, "loss": "cross_entropy"}),
    "gru, torch, no drive": (GRU(9, 6, init="torch_recurrent", input_std=0.0), {}),
    "gru, data": (GRU(9, 6, init="orthogonal"), {"batch_size": 5, "inputs": ROWS, "loss": "mse"}),
    "gru, zeros": (GRU(9, 6, gain=2.0), {"batch_size": 2, "inputs": "zeros"}),
    "gru, zeros and no drive": (GRU(9, 6, input_std=0.0), {"inputs": "zeros"}),
    "gru, norm": (GRU(9, 6, gain=6.0, clip=ClipNorm(1.0)), {"batch_size": 2}),
    "gru, value": (GRU(9, 6, gain=6.0, clip=ClipValue(0.3)), {"batch_size": 2}),
    "leaky": (RNN(9, 6, leak=0.2, bias_std=0.2), {"batch_size": 2}),
    "leaky, not driven": (RNN(9, 6, leak=0.7, input_std=0.0, activation="relu"), {"loss": "mse"}),
    "leaky, norm": (RNN(9, 6, leak=0.5, gain=5.0, clip=ClipNorm(1.0)), {"batch_size": 3}),
    "leaky, zeros": (RNN(9, 6, leak=0.5), {"batch_size": 2, "inputs": "zeros"}),
    "rnn, torch": (RNN(9, 6, init="torch_recurrent"), {"batch_size": 2}),
}
