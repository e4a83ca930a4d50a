"""The frame around every page: menu, URL, icon, styles and presentation mode."""
