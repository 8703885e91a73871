"""The official Python SDK's client in 2.x, in one protocol mode against one server, directly or over a bridge.
`checks.py` says what it takes and does."""

import contextlib

import httpx2
from checks import Refusal, run, text_of
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

MODES = {"modern": "2026-07-28", "legacy": "legacy", "auto": "auto"}


class Connection:
    def __init__(self, client):
        self.client = client
        self.protocol = client.protocol_version

    async def names(self, kind):
        if kind == "tools":
            names = [tool.name for tool in (await answer(self.client.list_tools())).tools]
        elif kind == "prompts":
            names = [prompt.name for prompt in (await answer(self.client.list_prompts())).prompts]
        elif kind == "resources":
            names = [resource.uri for resource in (await answer(self.client.list_resources())).resources]
        else:
            listed = await answer(self.client.list_resource_templates())
            names = [template.uri_template for template in listed.resource_templates]
        return sorted(names)

    async def call(self, tool, arguments, on_progress=None):
        result = await answer(self.client.call_tool(tool, arguments, progress_callback=on_progress))
        return text_of(result), result.is_error

    async def get(self, prompt):
        return len((await answer(self.client.get_prompt(prompt))).messages)

    async def read(self, uri):
        return len((await answer(self.client.read_resource(uri))).contents)


async def answer(request):
    try:
        return await request
    except MCPError as error:
        raise Refusal(error.error.code, error.error.message) from error


@contextlib.asynccontextmanager
async def connect(plan, token, statuses, ask):
    async def note(response):
        statuses.append(response.status_code)

    async def decline(_context, params):
        ask(params.message)
        return ElicitResult(action="decline")

    async with contextlib.AsyncExitStack() as stack:
        if bridge := plan["bridge"]:
            command, *args = bridge["command"]
            environment = bridge["environment"] | {"TOKEN": token}
            transport = stdio_client(StdioServerParameters(command=command, args=args, env=environment))
        else:
            headers = {"authorization": f"Bearer {token}"}
            http = httpx2.AsyncClient(headers=headers, timeout=60, event_hooks={"response": [note]})
            await stack.enter_async_context(http)
            # The SDK's own limit of 1 MiB for one event would refuse the large result.
            transport = streamable_http_client(plan["url"], http_client=http, max_sse_event_size=None)
        callbacks = {"elicitation_callback": decline} if ask else {}
        client = Client(transport, mode=MODES[plan["mode"]], cache=None, **callbacks)
        yield Connection(await stack.enter_async_context(client))


if __name__ == "__main__":
    run(connect)
