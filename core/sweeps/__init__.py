"""Many measurements of one baseline; each is made once and stored."""
