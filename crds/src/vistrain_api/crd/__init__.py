"""What is generated from the models: the CustomResourceDefinition, its reference."""
