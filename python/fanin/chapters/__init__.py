"""The chapters of `fanin lecture`: ideas of the lecture, run on real data and told in order."""
