"""Questions that take many measurements to answer."""
