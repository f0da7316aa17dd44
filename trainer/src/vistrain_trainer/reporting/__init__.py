"""What a finished or running run tells afterwards: its curves, figures, tables."""
