"""How results are judged."""
