"""A run: its folder, its record, its checkpoints, going on with it, and the processes that train it."""
