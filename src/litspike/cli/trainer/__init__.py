"""What the command line adds to Lightning's trainer."""
