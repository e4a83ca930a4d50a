"""What is measured of a network: its answers on test images, and what it costs."""
