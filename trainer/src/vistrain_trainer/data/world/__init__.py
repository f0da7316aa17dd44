"""A small driving world, generated from a seed: scenes, cameras, pictures, files."""
