"""The receipt of a test: metrics, costs, and where they come from."""
