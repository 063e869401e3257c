"""A step as data: its operations, and the loops around them."""
