"""Parameters of the address that belong to no single control."""

import streamlit as st


def keep_in_address(name: str, value: str | None) -> None:
    """Give the parameter this value, or take it out for None; says nothing where that is so."""
    if value is None:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
