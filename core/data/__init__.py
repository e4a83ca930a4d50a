"""Data sets as uint8 tensors in memory, and their seeded, stratified subsets."""
