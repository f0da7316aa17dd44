"""Sequences in the layout of MOTChallenge: read into columns, every fault told by file and line."""
