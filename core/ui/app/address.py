"""Query parameters of the URL that no control is bound to."""

import math

import streamlit as st

OF_CLASSES = ("class", "answer_before", "answer_after")
"""Parameters whose values are names of classes."""


def drop_invalid_parameters() -> None:
    """Delete empty and infinite query parameters; call it before any control is drawn.

    Streamlit validates most values from the URL, but an empty value sets a required control to
    None, and an infinite one crashes a control for whole numbers. A class may have such a name.
    """
    invalid = [
        name
        for name, value in st.query_params.to_dict().items()
        if not value or (_is_infinite(value) and name not in OF_CLASSES)
    ]
    for name in invalid:
        del st.query_params[name]
    if invalid:  # controls of this run would still read the old parameters, so start a new run
        st.rerun()


def _is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def set_query_parameter(name: str, value: str | None) -> None:
    """Set a query parameter, or delete it if `value` is None; do nothing if it is unchanged."""
    if value is None:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
