"""Detection data of either layout, with all its splits."""
