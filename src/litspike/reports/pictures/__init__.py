"""Pictures of what a network does, in TensorBoard or in files."""
