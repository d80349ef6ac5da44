"""What a run gives: samples, curves, tables and files."""
