"""What the command line can do, a command a module."""
