"""The middleware that puts the headers of the web config on every answer without its own."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probe.server.config_watch import WebConfig


class ExtraHeaders:
    """Around an application, outermost: refusals have the headers, too."""

    def __init__(self, app: ASGIApp, config: WebConfig) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        configured = self._config.settings.http_server_config.headers
        extra = configured.model_dump(by_alias=True, exclude_none=True)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in extra.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
