"""Studies: questions that need many measurements."""
