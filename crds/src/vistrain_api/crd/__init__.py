"""The CustomResourceDefinition and its reference, made from the models."""
