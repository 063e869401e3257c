"""What each subcommand does with its model, its data and its trainer."""
