"""What a run tells its user: pictures, check-up, receipt, comparison and the console."""
