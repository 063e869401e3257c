"""The fused engine for a GPU."""
