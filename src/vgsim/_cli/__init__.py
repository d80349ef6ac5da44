"""The command vgsim."""
