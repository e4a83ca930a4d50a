"""Specifications as plain data: vocabulary, prunings, recoveries, points to measure."""
