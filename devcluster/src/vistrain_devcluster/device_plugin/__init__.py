"""A device plugin that offers MIG slices to a kubelet, over the kubelet's own interface."""

# A file beside the sockets, made once the kubelet says that it would allocate every slice. A kubelet that
# starts clears the folder, so the file speaks of the kubelet that runs now.
REGISTERED = "vistrain-registered"
