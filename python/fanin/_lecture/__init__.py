"""What ``fanin lecture`` tells: one module a chapter, each a function of data and seed."""
