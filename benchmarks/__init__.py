"""fanin measured beside its peers and beside the machine's own roof. README.md says how to run it."""
