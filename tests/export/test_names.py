"""Names of files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.export.names import check_name, suggested_name


def test_suggested_names_say_what_is_in_the_file() -> None:
    name = suggested_name("resnet18-cifar10", "channel 0.5 recovery=bn")
    assert name == "resnet18_cifar10_channel_0_5_recovery_bn"
    assert suggested_name("con") == "network_con"
    assert suggested_name("torch.onnx", "") == "torch_onnx"
    assert suggested_name("json") == "network_json"
    assert suggested_name("网络") == "network"


@given(st.lists(st.text(max_size=300), max_size=3))
def test_suggested_names_are_safe(parts: list[str]) -> None:
    name = suggested_name(*parts)
    assert name.isidentifier()
    assert name.isascii()
    assert len(name) < 100
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a/b", "/ has a meaning of its own"),
        ("a\\b", "has a meaning of its own"),
        ("..", "a letter or a digit"),
        ("", "a letter or a digit"),
        ("a\nb", "cannot be seen"),
        ("a\x00b", "cannot be seen"),
        ("a\u202eb", "cannot be seen"),
        ("n" * 300, "longer than 200 bytes"),
        ("é" * 150, "longer than 200 bytes"),
        ("CON", "Windows keeps"),
        ("lpt1.v2", "Windows keeps"),
        ("ends ", "drop or hide"),
        (".hidden", "drop or hide"),
        ("-rf", "drop or hide"),
    ],
)
def test_bad_names_are_refused_in_one_sentence(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        check_name(name)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "name", ["network", "my network 0.5", "Netz-für-Katzen", "网络", "console"]
)
def test_other_names_are_taken(name: str) -> None:
    assert check_name(name) == name
