"""How fast vgsim is, beside its peers and beside the machine's limit: ``python -m bench``."""
