"""The dashboard's frame: who may look, the pages, and the filter bar they share.

Streamlit runs this file for each viewer and each change; a page of views/ draws the rest.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import access, drill, filter_bar, sidebar
from proxy.config import ConfigError, load

STATIC = Path(__file__).parent / "static"
st.set_page_config(page_title="Meterline", page_icon=str(STATIC / "icon.svg"), layout="wide")
st.logo(str(STATIC / f"logo-{st.context.theme.type or 'light'}.svg"), size="large")

PAGES = {
    "Money": [
        st.Page("views/overview.py", title="Overview", icon=":material/dashboard:", default=True),
        st.Page("views/spend.py", title="Spend", icon=":material/payments:"),
        st.Page("views/savings.py", title="Savings", icon=":material/savings:"),
    ],
    "Use": [
        st.Page("views/models.py", title="Models", icon=":material/neurology:"),
        st.Page("views/people.py", title="Users and features", icon=":material/group:"),
        st.Page("views/sessions.py", title="Sessions", icon=":material/forum:"),
        st.Page("views/requests.py", title="Requests", icon=":material/list_alt:"),
        st.Page("views/exchange.py", title="Exchange", visibility="hidden"),
    ],
    "Operation": [
        st.Page("views/reliability.py", title="Reliability", icon=":material/emergency_home:"),
        st.Page("views/health.py", title="Health", icon=":material/ecg_heart:"),
        st.Page("views/sql.py", title="SQL", icon=":material/database:"),
    ],
}
UNFILTERED = {"Exchange", "Health", "SQL"}

try:
    settings = load()
except ConfigError as error:
    st.error("The settings cannot be used", icon=":material/error:")
    st.code(str(error), language=None, wrap_lines=True)
    st.stop()

access.guard(settings.dashboard)
page = st.navigation(PAGES)
has_bar = page.title not in UNFILTERED
drill.apply(has_bar=has_bar)
sidebar.show()
if has_bar:
    filter_bar.show(page.title)
else:
    filter_bar.title(page.title)
drill.keep(has_bar=has_bar)
page.run()
