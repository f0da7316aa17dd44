"""A device plugin that offers MIG slices to a kubelet, over the kubelet's own interface."""
