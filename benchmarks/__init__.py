"""fanin measured beside its peers and beside the machine's own roof: see README.md."""
