"""The main job, told as it goes: a detector trained on a real Kubernetes, through an eviction."""
