"""The first page on shipped results opens without what takes long to import."""

import subprocess
import sys

from tests.pages.conftest import APP

OPEN_THE_APP = """
import sys

from streamlit.testing.v1 import AppTest

app = AppTest.from_file(sys.argv[1], default_timeout=120).run()
assert not app.exception, app.exception
assert [metric.value for metric in app.metric]
print(*sys.modules)
"""


def test_the_first_page_builds_no_network_and_imports_no_torchvision() -> None:
    command = [sys.executable, "-c", OPEN_THE_APP, str(APP)]
    child = subprocess.run(command, check=True, capture_output=True, text=True, cwd=APP.parent)
    imported = set(child.stdout.split())
    assert "core.networks.network" in imported
    assert imported.isdisjoint({"torchvision", "torch._dynamo", "scipy.stats"})
