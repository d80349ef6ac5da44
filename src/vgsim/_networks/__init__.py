"""What is simulated: networks, their parts, and sweeps over their fields."""
