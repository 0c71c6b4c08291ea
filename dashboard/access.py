"""Who may look: everyone on this machine, or those whom a login or a proxy lets in.

Owns the rule and the login. On loopback nobody else gets here; on another address a viewer has
passed Streamlit's OpenID Connect login, or a proxy that the settings call trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.reach import is_loopback
from proxy.config import Dashboard


def login_configured() -> bool:
    """Whether Streamlit's secrets have an OpenID Connect provider."""
    try:
        return bool(st.secrets.get("auth"))
    except (FileNotFoundError, KeyError):
        return False


def guard(dashboard: Dashboard) -> None:
    """Stop here whoever is not let in."""
    if not login_configured():
        if is_loopback(dashboard.host) or dashboard.trusted_proxy:
            return
        st.error("This address needs a login, and none is configured.", icon=":material/lock:")
        st.stop()
    if not st.user.is_logged_in:
        _ask_to_log_in()
    if not is_let_in(st.user.to_dict(), dashboard.users):
        st.error("This login is not on the list of users.", icon=":material/lock:")
        if st.button("Log out"):
            st.logout()
        st.stop()


def _ask_to_log_in() -> None:
    st.subheader("Meterline", anchor=False)
    if st.button("Log in", type="primary", icon=":material/login:"):
        st.login()
    st.stop()


def is_let_in(claims: Mapping[str, Any], users: tuple[str, ...]) -> bool:
    """Whether the verified claims are those of a listed user; an empty list lets all in.

    An entry is an address, or `@example.com` for all of a domain. An address that the provider
    says is not verified does not count.
    """
    if not users:
        return True
    address = str(claims.get("email") or "").lower()
    if "@" not in address or claims.get("email_verified") is False:
        return False
    domain = address[address.rindex("@") :]
    return any(each.lower() in (address, domain) for each in users)
