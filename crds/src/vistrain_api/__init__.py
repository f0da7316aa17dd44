"""The contract of Vistrain: what a user writes, what is true, what trainer and operator say."""

GROUP = "vistrain.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

__version__ = "0.1.0"
