"""What the page Tour shows."""
