"""The official Python SDK's client in 1.x against one server. `checks.py` says what it takes and does. This SDK speaks
revisions up to 2025-11-25, so `mode` must be `legacy`, and it tells no server when a call is given up."""

import contextlib

import httpx
from checks import Refusal, run, text_of
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult


class Connection:
    def __init__(self, session, protocol):
        self.session = session
        self.protocol = protocol

    async def names(self, kind):
        if kind == "tools":
            names = [tool.name for tool in (await answer(self.session.list_tools())).tools]
        elif kind == "prompts":
            names = [prompt.name for prompt in (await answer(self.session.list_prompts())).prompts]
        elif kind == "resources":
            names = [str(resource.uri) for resource in (await answer(self.session.list_resources())).resources]
        else:
            listed = await answer(self.session.list_resource_templates())
            names = [template.uriTemplate for template in listed.resourceTemplates]
        return sorted(names)

    async def call(self, tool, arguments, on_progress=None):
        result = await answer(self.session.call_tool(tool, arguments, progress_callback=on_progress))
        return text_of(result), result.isError

    async def get(self, prompt):
        return len((await answer(self.session.get_prompt(prompt))).messages)

    async def read(self, uri):
        return len((await answer(self.session.read_resource(uri))).contents)


async def answer(request):
    try:
        return await request
    except McpError as error:
        raise Refusal(error.error.code, error.error.message) from error


@contextlib.asynccontextmanager
async def connect(plan, token, statuses, ask):
    async def note(response):
        statuses.append(response.status_code)

    async def decline(_context, params):
        ask(params.message)
        return ElicitResult(action="decline")

    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=60, event_hooks={"response": [note]}) as http,
        streamable_http_client(plan["url"], http_client=http) as (read, write, _),
        ClientSession(read, write, elicitation_callback=decline if ask else None) as session,
    ):
        protocol = (await session.initialize()).protocolVersion
        yield Connection(session, str(protocol))


if __name__ == "__main__":
    run(connect, sends_cancellations=False)
