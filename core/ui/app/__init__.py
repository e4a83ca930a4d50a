"""The shell around the pages: menu, address, type and presenting."""
