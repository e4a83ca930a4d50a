"""What can be asked for, as plain data: words, prunings, recoveries, points to measure."""
