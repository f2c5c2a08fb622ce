"""What serves the pages: Streamlit's app around `main.py`, with headers of Decant's own on what it answers.

Start it with `python -m streamlit run app/server.py` from the root of the checkout. Streamlit finds `app` by reading
this file, so it has to be assigned here, in these words.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.access.headers import response_headers
from services.settings import load_settings


class Headers:
    """Sets `headers` on each answer to an HTTP request; an error that nobody caught is answered outside of it."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, sent)


app = st.App(
    Path(__file__).with_name("main.py"), middleware=[Middleware(Headers, headers=response_headers(load_settings()))]
)
