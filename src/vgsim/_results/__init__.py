"""Results of runs: samples, curves, tables and files."""
