"""
Memory of recurrent networks
============================

The gradient of the last step, by steps into the past. Gates that begin open keep it; a plain
recurrent network loses it.
"""

import vgsim

networks = {
    "RNN": vgsim.RNN(200, 32),
    "GRU": vgsim.GRU(200, 32),
    "LSTM": vgsim.LSTM(200, 32),
    "LSTM, forget bias 5": vgsim.LSTM(200, 32, forget_bias=5),
    "LSTM, chrono": vgsim.LSTM(200, 32, chrono=200),
}
ax = None
for name, net in networks.items():
    ax = vgsim.simulate(net, 200).profile().plot(label=name, ax=ax).axes
