"""The corpus of the contract's tests: valid manifests, and for each constraint one that breaks it."""
