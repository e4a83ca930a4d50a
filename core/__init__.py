"""The pruning explorer: data, networks, pruning, measuring, training, and the pages that show it.

Nothing in this package imports Streamlit except `core.ui`.
"""
