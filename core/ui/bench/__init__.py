"""What a page works with: the baseline, and what is known of it."""
