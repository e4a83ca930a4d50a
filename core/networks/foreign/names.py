"""Give tensors the names that an architecture expects, whatever other code calls them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from torch import Tensor

ANYWHERE = ("module", "_orig_mod")
"""Parts that DataParallel and torch.compile put into names, at any place."""
DEEPEST_PART = 3
"""How many parts a name may have before the network's own, besides those."""
COUNTS = ("n_averaged",)
"""What torch.optim.swa_utils.AveragedModel stores beside the network."""
OTHER_NAMES = (
    ("shortcut.", "downsample."),  # kuangliu/pytorch-cifar
    ("linear.", "fc."),  # the same, and akamaster/pytorch_resnet_cifar10
    ("classifier.", "fc."),
    ("fc.", "classifier."),
    ("head.", "fc."),
)
"""What other code calls a part of a network, and what it is called here."""
BLOCKS = ("conv1", "bn1", "", "conv2", "bn2", "", "conv3", "bn3")
"""The layers of a block that weiaicunzai/pytorch-cifar100 numbers."""


def renamed(
    tensors: Mapping[str, Tensor], expected: Iterable[str]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors under the expected names, as far as they can be recognised.

    Those that surround the network in a larger module are left out. What was done is said in
    sentences.
    """
    expected = list(expected)
    if tensors.keys() >= set(expected):
        return dict(tensors), ()
    wanted = {plain: name for name, plain in _plain(expected)[0].items()}
    plain, wrappers = _plain(tensors)
    plain, part, left_out = _within_a_part(plain, wanted)
    matches = {name: _match(now, wanted) for name, now in plain.items()}
    claims = Counter(match[0] for match in matches.values() if match is not None)
    found, used = {}, dict[str, None]()
    for name, now in plain.items():
        match = matches[name]
        if match is not None and (match[0] == now or claims[match[0]] == 1):
            now, spelling = match
            used[spelling] = None
        if now not in COUNTS:
            found[wanted.get(now, now)] = tensors[name]
    notes = []
    if dropped := [f"{each}." for each in (*wrappers, *part)]:
        notes.append(f"Dropped {', '.join(dropped)} from the names.")
    if left_out:
        notes.append(f"Left out what stands beside the network: {', '.join(left_out)}.")
    if said := [spelling for spelling in used if spelling]:
        notes.append(f"Renamed {', '.join(said)}.")
    return found, tuple(notes)


def _plain(given: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return each name without what wrappers add to it, and what was dropped.

    A part is kept where two names would become one without it.
    """
    names, dropped = {name: name for name in given}, []
    for part in ANYWHERE:
        changed = {
            name: ".".join(each for each in now.split(".") if each != part)
            for name, now in names.items()
        }
        if changed != names and len(set(changed.values())) == len(names):
            names = changed
            dropped.append(part)
    return names, dropped


def _within_a_part(
    names: dict[str, str], wanted: Mapping[str, str]
) -> tuple[dict[str, str], list[str], list[str]]:
    """Go into the part of a larger module that has most of the wanted names.

    Return the names of tensors within it, and of others that are wanted too, without the names of
    that part and the parts around it; these; and what was left out.
    """
    counts = Counter[tuple[str, ...]]()
    for now in names.values():
        parts = tuple(now.split("."))
        for depth in range(min(DEEPEST_PART + 1, len(parts))):
            counts[parts[:depth]] += _match(".".join(parts[depth:]), wanted) is not None
    part = max(counts, key=lambda each: (counts[each], -len(each)))  # of equal ones the first
    if not part:
        return names, [], []
    found = dict[str, str]()
    for depth in range(len(part), -1, -1):
        around = "".join(f"{each}." for each in part[:depth])
        taken = set(found.values())
        for name, now in names.items():
            inner = now.removeprefix(around)
            is_wanted = depth == len(part) or _match(inner, wanted) is not None
            if name not in found and now.startswith(around) and is_wanted and inner not in taken:
                found[name] = inner
    left_out = [now.partition(".")[0] for name, now in names.items() if name not in found]
    return found, list(part), list(dict.fromkeys(left_out))


def _match(name: str, wanted: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the wanted name that one means, and what was renamed; None if it means none."""
    if name in wanted:
        return name, ""
    for spelling, change in _SPELLINGS:
        changed = change(name)
        if changed != name and changed in wanted:
            return changed, spelling
    return None


def _renaming(theirs: str, ours: str) -> tuple[str, Callable[[str], str]]:
    pattern = re.compile(rf"(^|\.){re.escape(theirs)}")
    label = f"{theirs.strip('.')} to {ours.strip('.')}"
    return label, partial(pattern.sub, rf"\1{ours}")


def _weiaicunzai(name: str) -> str:
    """Translate conv2_x.0.residual_function.3 to layer1.0.conv2, and the stem's conv1.1 to bn1."""
    name = re.sub(r"^conv([2-5])_x\.", lambda found: f"layer{int(found[1]) - 1}.", name)
    name = re.sub(r"\.residual_function\.([0-7])\.", lambda each: f".{BLOCKS[int(each[1])]}.", name)
    name = re.sub(r"^conv1\.([01])\.", lambda found: f"{('conv1', 'bn1')[int(found[1])]}.", name)
    return name.replace(".shortcut.", ".downsample.")


def _without_number(name: str) -> str:
    """Drop the last number, of a layer in a sequence with dropout: fc.1.weight to fc.weight."""
    return re.sub(r"\.\d+(?=\.[^.]+$)", "", name)


_SPELLINGS = (
    *(_renaming(theirs, ours) for theirs, ours in OTHER_NAMES),
    ("blocks as weiaicunzai/pytorch-cifar100 names them", _weiaicunzai),
    ("layers without the number in their sequence", _without_number),
)
