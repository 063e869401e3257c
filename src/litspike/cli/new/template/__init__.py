"""The files that ``new`` copies. They run as they stand."""
