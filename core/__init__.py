"""Pruning a ResNet-18 on CIFAR-10: data, training, pruning, evaluation, cost.

Nothing in this package imports Streamlit except `core.ui`.
"""
