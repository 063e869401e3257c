"""Event data through Tonic: data modules that bin events into steps, one a file."""
