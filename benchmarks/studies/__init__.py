"""Studies: what a whole way of working reaches or costs, one command each."""
