"""The pruning explorer: data, networks, pruning, measuring, training, command line and pages.

Nothing in this package imports Streamlit except `core.ui`.
"""
