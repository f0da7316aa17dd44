"""A device plugin that offers MIG slices to a kubelet, over the kubelet's own interface."""

# A file beside the sockets, made once the kubelet has asked every plugin for its devices. A kubelet that
# starts clears the folder, so the file says that the kubelet that runs now knows the slices.
REGISTERED = "vistrain-registered"
