"""The fused engine for a CPU."""
