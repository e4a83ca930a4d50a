"""Many measurements of one baseline, each made once and kept."""
