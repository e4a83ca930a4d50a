"""The process that traces a network: python -m core.export.tracing_process

It takes a pickled module from its parent on standard input, and answers with an ONNX file.
"""

import pickle
import sys

from core.errors import InputError
from core.export.tracing import REFUSED, exported


def main() -> int:
    module, example, properties = pickle.load(sys.stdin.buffer)  # noqa: S301, our own parent's
    answer = sys.stdout.buffer
    sys.stdout = sys.stderr  # what others print must not get into the file
    try:
        content = exported(module, example, properties)
    except InputError as error:
        sys.stderr.write(f"\n{error}")
        return REFUSED
    answer.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
