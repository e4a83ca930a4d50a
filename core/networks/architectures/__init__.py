"""Architectures in the form that is usual for images of 32x32 pixels, one family a file.

Functions that use torchvision import it when they are called, because that takes over a second and
stored results need no network.
"""
