"""Independent implementations in NumPy, written from equations. Nothing here imports litspike."""
