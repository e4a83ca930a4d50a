"""What `.streamlit/config.toml` makes of the server, as Streamlit itself reads it."""

import subprocess
import sys

from benchmarks.browser import ROOT

REPORT = """
from streamlit.watcher.path_watcher import get_default_path_watcher_class
print(get_default_path_watcher_class().__name__)
"""


def test_the_server_watches_no_files() -> None:
    found = subprocess.run(
        [sys.executable, "-c", REPORT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "NoOpPathWatcher"
