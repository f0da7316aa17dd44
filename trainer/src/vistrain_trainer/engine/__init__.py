"""The training engine: loops, files and clocks. It knows tasks by their protocol only."""
