"""Moving of samples from one split to another, and back."""
