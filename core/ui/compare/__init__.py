"""The content of the page Compare."""
