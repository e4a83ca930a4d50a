"""The data sets as uint8 tensors in memory, and seeded, stratified subsets of them."""

from core.data.dataset import (
    KNOWN_COPIES,
    MEAN,
    STD,
    DataMissingError,
    DataSet,
    normalise,
    subset_indices,
)
from core.data.loading import (
    DATASET_NAMES,
    archive_address,
    download_cifar10,
    load,
    where_cifar10_is,
)

__all__ = [
    "DATASET_NAMES",
    "KNOWN_COPIES",
    "MEAN",
    "STD",
    "DataMissingError",
    "DataSet",
    "archive_address",
    "download_cifar10",
    "load",
    "normalise",
    "subset_indices",
    "where_cifar10_is",
]
