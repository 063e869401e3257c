"""What a run reports to its user: pictures, check-up, receipt, comparison and the console."""
