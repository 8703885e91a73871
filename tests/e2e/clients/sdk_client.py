"""The official Python SDK's client, in one protocol mode against one server.

Reads a plan (JSON) from standard input and prints `ok <check>` or `FAIL <check>: <why>` for each check.
`sdk_client.mjs` takes the same plan:

url; mode (`modern`, `legacy` or `auto`); protocol: the revision that must come out of it
member, visitor: tokens; rejected: {what is wrong with it: token}
sees: {member, visitor}, each with the sorted tools, prompts, resources and templates that are in its lists
call: {tool, arguments} that both may call, and result: text of its result; refused: the same, which a visitor may not
progress: {tool, arguments}, which reports three steps
question: null, or {call, declined}: both may make this call, in the course of which the server asks the client
    something that only the member may be asked; declined: text of its result when the client declines
workbench: whether the server is servers/workbench.py, for what only it can show
"""

import asyncio
import contextlib
import json
import sys
import uuid

import anyio
import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

TEN_MEBIBYTES = 10 * 1024 * 1024
MODES = {"modern": "2026-07-28", "legacy": "legacy", "auto": "auto"}


class Session:
    """Connections as one principal, and the HTTP status codes that they saw."""

    def __init__(self, plan, token):
        self.plan = plan
        self.token = token
        self.statuses = []

    async def note(self, response):
        self.statuses.append(response.status_code)

    @contextlib.asynccontextmanager
    async def connect(self, **callbacks):
        headers = {"authorization": f"Bearer {self.token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60, event_hooks={"response": [self.note]}) as http:
            # The SDK's own limit of 1 MiB for one event would refuse the large result.
            transport = streamable_http_client(self.plan["url"], http_client=http, max_sse_event_size=None)
            async with Client(transport, mode=MODES[self.plan["mode"]], cache=None, **callbacks) as client:
                yield client


class Failed(Exception):
    """A check whose outcome is another than expected."""


def expect(condition, found):
    if not condition:
        raise Failed(found)


async def tools(client):
    return sorted(tool.name for tool in (await client.list_tools()).tools)


async def lists(client):
    return {
        "tools": await tools(client),
        "prompts": sorted(prompt.name for prompt in (await client.list_prompts()).prompts),
        "resources": sorted(resource.uri for resource in (await client.list_resources()).resources),
        "templates": sorted(
            template.uri_template for template in (await client.list_resource_templates()).resource_templates
        ),
    }


async def refusal(request, what):
    """The JSON-RPC error that answers a request."""
    try:
        result = await request
    except MCPError as error:
        return error.error
    raise Failed(f"`{what}` was not refused: {result.model_dump_json()[:200]}")


async def expect_alike(forbidden, unknown):
    """What exists and is hidden must not differ from what does not exist."""
    forbidden = await refusal(forbidden, "what is forbidden")
    unknown = await refusal(unknown, "what does not exist")
    expect((forbidden.code, forbidden.message) == (unknown.code, unknown.message), f"{forbidden} / {unknown}")


def text_of(result):
    return "".join(part.text for part in result.content if part.type == "text")


async def negotiates(plan):
    session = Session(plan, plan["member"])
    async with session.connect() as client:
        expect(client.protocol_version == plan["protocol"], client.protocol_version)


async def filtered_lists(plan):
    for principal, sees in plan["sees"].items():
        async with Session(plan, plan[principal]).connect() as client:
            found = await lists(client)
            expect(found == sees, f"{principal}: {found}")


async def allowed_call(plan):
    call = plan["call"]
    for principal in ("member", "visitor"):
        async with Session(plan, plan[principal]).connect() as client:
            result = await client.call_tool(call["tool"], call["arguments"])
            expect(not result.is_error and plan["result"] in text_of(result), f"{principal}: {result}")


async def refused_call(plan):
    refused = plan["refused"]
    async with Session(plan, plan["member"]).connect() as client:
        result = await client.call_tool(refused["tool"], refused["arguments"])
        expect(not result.is_error, f"member: {result}")
    async with Session(plan, plan["visitor"]).connect() as client:
        forbidden = client.call_tool(refused["tool"], refused["arguments"])
        await expect_alike(forbidden, client.call_tool("no_such_tool", {}))


async def reading(plan):
    sees = plan["sees"]["member"]
    prompt, resource = sees["prompts"][0], sees["resources"][0]
    async with Session(plan, plan["member"]).connect() as client:
        expect((await client.get_prompt(prompt)).messages, "no messages")
        expect((await client.read_resource(resource)).contents, "no contents")
    async with Session(plan, plan["visitor"]).connect() as client:
        await expect_alike(client.get_prompt(prompt), client.get_prompt("no_such_prompt"))
        await expect_alike(client.read_resource(resource), client.read_resource("no-such://resource"))


async def question(plan):
    call = plan["question"]["call"]
    asked = []

    async def decline(_context, params):
        asked.append(params.message)
        return ElicitResult(action="decline")

    async with Session(plan, plan["member"]).connect(elicitation_callback=decline) as client:
        result = await client.call_tool(call["tool"], call["arguments"])
        expect(plan["question"]["declined"] in text_of(result), str(result))
        expect(len(asked) == 1, f"asked: {asked}")
    async with Session(plan, plan["visitor"]).connect(elicitation_callback=decline) as client:
        with contextlib.suppress(MCPError):
            result = await client.call_tool(call["tool"], call["arguments"])
            expect(result.is_error, f"visitor: {result}")
        expect(len(asked) == 1, f"the visitor was asked: {asked[1:]}")


async def progress(plan):
    wanted, seen = plan["progress"], []

    async def note(done, _total, _message):
        seen.append(done)

    async with Session(plan, plan["member"]).connect() as client:
        result = await client.call_tool(wanted["tool"], wanted["arguments"], progress_callback=note)
        expect(not result.is_error, str(result))
    expect(len(seen) == 3 and seen == sorted(seen), f"progress {seen}")


async def cancellation(plan):
    key = str(uuid.uuid4())
    async with Session(plan, plan["member"]).connect() as client:
        with anyio.fail_after(30), anyio.CancelScope() as scope:

            async def started(*_progress):
                scope.cancel()

            await client.call_tool("wait", {"key": key}, progress_callback=started)
        expect(scope.cancelled_caught, "the call ended by itself")
        result = await client.call_tool("was_cancelled", {"key": key})
        expect(text_of(result) == "true", f"the server saw no cancellation: {text_of(result)}")


async def large_result(plan):
    async with Session(plan, plan["member"]).connect() as client:
        result = await client.call_tool("blob", {"size": TEN_MEBIBYTES})
        expect(text_of(result) == "x" * TEN_MEBIBYTES, f"{len(text_of(result))} bytes")


async def own_token_stays(plan):
    async with Session(plan, plan["member"]).connect() as client:
        names = text_of(await client.call_tool("headers", {}))
        expect("authorization" not in names and "cookie" not in names, names)


async def rejected_token(plan):
    for reason, token in plan["rejected"].items():
        session = Session(plan, token)
        try:
            async with session.connect() as client:
                await client.list_tools()
        # The SDK reports a refusal in several types, some of them as groups.
        except Exception:
            expect(set(session.statuses) == {401}, f"{reason}: {session.statuses}")
        else:
            raise Failed(f"{reason}: accepted")


async def main():
    plan = json.load(sys.stdin)
    checks = {
        "negotiates " + plan["protocol"]: negotiates,
        "lists are filtered": filtered_lists,
        "allowed call": allowed_call,
        "refused call looks like an unknown tool": refused_call,
        "progress": progress,
        "bad token gets 401": rejected_token,
    }
    if plan["sees"]["member"]["prompts"]:
        checks["prompts and resources are got as permitted"] = reading
    if plan["question"]:
        checks["server asks only who may be asked"] = question
    if plan["workbench"]:
        checks |= {
            "cancellation reaches the server": cancellation,
            "10 MiB result": large_result,
            "client's token is not sent on": own_token_stays,
        }
    for name, check in checks.items():
        try:
            await asyncio.wait_for(check(plan), 90)
        except Exception as error:
            print(f"FAIL {name}: {describe(error)}", flush=True)
        else:
            print(f"ok {name}", flush=True)


def describe(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:600]


if __name__ == "__main__":
    asyncio.run(main())
