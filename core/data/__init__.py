"""Data sets as uint8 tensors in memory, and seeded, stratified subsets of them."""
