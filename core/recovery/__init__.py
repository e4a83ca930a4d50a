"""What is done to a network after pruning."""
