"""Networks: how they are built, what they are made of, how they are kept on disk."""
