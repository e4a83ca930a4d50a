"""What several tests of training share."""

import pytest

from core.data.dataset import DataSet
from core.training import Split


@pytest.fixture(scope="module")
def split(digits: DataSet) -> Split:
    return Split(
        digits.train_images[:256],
        digits.train_labels[:256],
        digits.test_images[:100],
        digits.test_labels[:100],
    )
