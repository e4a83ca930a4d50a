"""What every page works with: the settings, the loaded baseline and its stored results."""
