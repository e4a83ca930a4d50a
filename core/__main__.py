"""The command line: `python -m core COMMAND`."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence

from core.commands.choose import add_choose
from core.commands.common import Parser
from core.commands.compare import add_compare
from core.commands.evaluate import add_evaluate
from core.commands.export import add_export
from core.commands.import_network import add_import
from core.commands.ladder import add_ladder
from core.commands.latency import add_latency
from core.commands.mixes import add_mixes
from core.commands.prune import add_prune
from core.commands.scan import add_scan
from core.commands.sweep import add_sweep
from core.commands.train import add_train
from core.device import resolve_device
from core.errors import InputError
from core.process import keep_freed_memory

EXAMPLES = """examples:
  python -m core train --dataset digits
  python -m core import resnet20.th --dataset cifar10
  python -m core train --dataset folder:pets --image-size 64
  python -m core prune --method channel --ratio 0.3 --out pruned.safetensors
  python -m core evaluate pruned.safetensors --subset 1000
  python -m core sweep --methods fine channel --ratios 0:0.9:0.1 --export results.csv
  python -m core compare unpruned 'channel 0.5 recovery=bn'
  python -m core scan --methods channel --subset 1000
  python -m core latency --methods channel --ratios 0.5,0.7 --batches 1
  python -m core export 'channel 0.5 recovery=reconstruct' --out exported
"""

COMMANDS = (
    *(add_train, add_import, add_prune, add_evaluate),
    *(add_sweep, add_scan, add_choose, add_mixes, add_ladder, add_compare),
    *(add_latency, add_export),
)


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    options.command_line = shlex.join(["python", "-m", "core", *arguments])
    keep_freed_memory()
    try:
        options.device = resolve_device(options.device)
        result = options.run(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; finished results are kept.", file=sys.stderr)
        return 130
    if options.json:
        print(json.dumps(result))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m core",
        description="Prune a neural network and measure accuracy and cost.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for add in COMMANDS:
        add(commands)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
