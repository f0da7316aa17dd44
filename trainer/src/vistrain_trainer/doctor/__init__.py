"""What is wrong with a manifest or a run, said as symptom, cause, remedy."""
