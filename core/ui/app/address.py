"""What the address says beside what its controls take from it."""

import math

import streamlit as st


def drop_invalid_parameters() -> None:
    """Take empty parameters and infinite numbers out, before any control is drawn.

    Streamlit checks what an address gives to a control, but gives None to one that must have a
    choice, and infinity to one of whole numbers.
    """
    unfit = [
        name
        for name, value in st.query_params.to_dict().items()
        if not value or _is_infinite(value)
    ]
    for name in unfit:
        del st.query_params[name]
    if unfit:  # what the address said when this run began is what controls would begin with
        st.rerun()


def _is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def set_query_parameter(name: str, value: str | None) -> None:
    """Give the parameter this value, or take it out for None; says nothing where that is so."""
    if value is None:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
