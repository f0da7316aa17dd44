"""Data for training: reading, sampling, augmenting, loading, generating."""
