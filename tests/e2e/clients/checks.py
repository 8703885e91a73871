"""The checks of an MCP client against one server, whichever SDK it is from.

`run` reads a plan (JSON) from standard input and prints `ok <check>` or `FAIL <check>: <why>` for each check.
`checks.mjs` and `rmcp_client.rs` take the same plan:

url; mode (`modern`, `legacy` or `auto`); protocol: the revision that must come out of it
bridge: null, or {command, environment}: what speaks to the URL for the client, which is to use it over standard streams
member, visitor: tokens; rejected: {what is wrong with it: token}
sees: {member, visitor}, each with the sorted tools, prompts, resources and templates that are in its lists, as far as the
    server has such
call: {tool, arguments} that both may call, and result: text of its result; refused: the same, which a visitor may not
limited: calls of a tool that the visitor may use, but not with these arguments
progress: null, or {tool, arguments}, which reports three steps
question: null, or {call, declined}: both may make this call, in the course of which the server asks the client
    something that only the member may be asked; declined: text of its result when the client declines
workbench: whether the server is servers/workbench.py, for what only it can show
"""

import asyncio
import contextlib
import json
import sys
import uuid

TEN_MEBIBYTES = 10 * 1024 * 1024


class Refusal(Exception):
    """The JSON-RPC error that answers a request: its code and message."""


class Failed(Exception):
    """A check whose outcome is another than expected."""


class Checks:
    """`open(plan, token, statuses, ask)` connects as the holder of a token. It notes the HTTP status codes that it sees,
    where it can, and calls `ask(message)` when the server asks something, which the client then declines. What it gives is
    an asynchronous context manager of a connection with `protocol`, `names(kind)`, `call(tool, arguments, on_progress)`
    for the text of a result and whether it is an error, and `get(prompt)` and `read(uri)` for how much came."""

    def __init__(self, plan, open_connection, sends_cancellations):
        self.plan = plan
        self.open_connection = open_connection
        self.sends_cancellations = sends_cancellations

    def all(self):
        plan = self.plan
        yield f"negotiates {plan['protocol']}", self.negotiates
        yield "lists are filtered", self.filtered_lists
        yield "allowed call", self.allowed_call
        yield "refused call looks like an unknown tool", self.refused_call
        yield "bad token gets 401", self.rejected_token
        if plan["limited"]:
            yield "arguments that are not permitted are refused", self.limited_call
        if plan["progress"]:
            yield "progress", self.progress
        if plan["sees"]["member"].get("prompts"):
            yield "prompts and resources are got as permitted", self.reading
        if plan["question"]:
            yield "server asks only who may be asked", self.question
        if plan["workbench"]:
            yield "10 MiB result", self.large_result
            yield "client's token is not sent on", self.own_token_stays
            if self.sends_cancellations:
                yield "cancellation reaches the server", self.cancellation

    def connect(self, principal, ask=None):
        return self.open_connection(self.plan, self.plan[principal], [], ask)

    async def negotiates(self):
        async with self.connect("member") as client:
            expect(client.protocol == self.plan["protocol"], client.protocol)

    async def filtered_lists(self):
        for principal, sees in self.plan["sees"].items():
            async with self.connect(principal) as client:
                found = {kind: await client.names(kind) for kind in sees}
                expect(found == sees, f"{principal}: {found}")

    async def allowed_call(self):
        call = self.plan["call"]
        for principal in ("member", "visitor"):
            async with self.connect(principal) as client:
                text, is_error = await client.call(call["tool"], call["arguments"])
                expect(not is_error and self.plan["result"] in text, f"{principal}: {text}")

    async def refused_call(self):
        refused = self.plan["refused"]
        async with self.connect("member") as client:
            text, is_error = await client.call(refused["tool"], refused["arguments"])
            expect(not is_error, f"member: {text}")
        async with self.connect("visitor") as client:
            forbidden = client.call(refused["tool"], refused["arguments"])
            await expect_alike(forbidden, client.call("no_such_tool", {}))

    async def limited_call(self):
        for limited in self.plan["limited"]:
            async with self.connect("member") as client:
                text, is_error = await client.call(limited["tool"], limited["arguments"])
                expect(not is_error, f"member: {text}")
            async with self.connect("visitor") as client:
                forbidden = client.call(limited["tool"], limited["arguments"])
                await expect_alike(forbidden, client.call("no_such_tool", {}))

    async def reading(self):
        sees = self.plan["sees"]["member"]
        prompt, resource = sees["prompts"][0], sees["resources"][0]
        async with self.connect("member") as client:
            expect(await client.get(prompt), "no messages")
            expect(await client.read(resource), "no contents")
        async with self.connect("visitor") as client:
            await expect_alike(client.get(prompt), client.get("no_such_prompt"))
            await expect_alike(client.read(resource), client.read("no-such://resource"))

    async def question(self):
        call = self.plan["question"]["call"]
        asked = []
        async with self.connect("member", asked.append) as client:
            text, _ = await client.call(call["tool"], call["arguments"])
            expect(self.plan["question"]["declined"] in text, text)
            expect(len(asked) == 1, f"asked: {asked}")
        async with self.connect("visitor", asked.append) as client:
            with contextlib.suppress(Refusal):
                text, is_error = await client.call(call["tool"], call["arguments"])
                expect(is_error, f"visitor: {text}")
            expect(len(asked) == 1, f"the visitor was asked: {asked[1:]}")

    async def progress(self):
        wanted, seen = self.plan["progress"], []

        async def note(done, _total, _message):
            seen.append(done)

        async with self.connect("member") as client:
            text, is_error = await client.call(wanted["tool"], wanted["arguments"], note)
            expect(not is_error, text)
        expect(len(seen) == 3 and seen == sorted(seen), f"progress {seen}")

    async def cancellation(self):
        key, started = str(uuid.uuid4()), asyncio.Event()

        async def start(*_progress):
            started.set()

        async with self.connect("member") as client:
            call = asyncio.create_task(client.call("wait", {"key": key}, start))
            await asyncio.wait_for(started.wait(), 30)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                raise Failed(f"the call ended by itself: {await call}")
            text, _ = await client.call("was_cancelled", {"key": key})
            expect(text == "true", f"the server saw no cancellation: {text}")

    async def large_result(self):
        async with self.connect("member") as client:
            text, _ = await client.call("blob", {"size": TEN_MEBIBYTES})
            expect(text == "x" * TEN_MEBIBYTES, f"{len(text)} bytes")

    async def own_token_stays(self):
        async with self.connect("member") as client:
            names, _ = await client.call("headers", {})
            expect("authorization" not in names and "cookie" not in names, names)

    async def rejected_token(self):
        for reason, token in self.plan["rejected"].items():
            statuses = []
            try:
                async with self.open_connection(self.plan, token, statuses, None) as client:
                    await client.names("tools")
            # SDKs report a refusal in several types, some of them as groups.
            except Exception:
                # What a bridge is answered only it can see.
                expect(self.plan["bridge"] or set(statuses) == {401}, f"{reason}: {statuses}")
            else:
                raise Failed(f"{reason}: accepted")


def expect(condition, found):
    if not condition:
        raise Failed(found)


async def refusal(request, what):
    try:
        result = await request
    except Refusal as refused:
        return refused.args
    raise Failed(f"{what} was not refused: {str(result)[:200]}")


async def expect_alike(forbidden, unknown):
    """What exists and is hidden must not differ from what does not exist."""
    forbidden = await refusal(forbidden, "what is forbidden")
    unknown = await refusal(unknown, "what does not exist")
    expect(forbidden == unknown, f"{forbidden} / {unknown}")


def text_of(result):
    return "".join(part.text for part in result.content if part.type == "text")


def innermost(error):
    """The first error of a group of errors."""
    while inner := getattr(error, "exceptions", None):
        error = inner[0]
    return error


def describe(error):
    error = innermost(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:600]


async def check(open_connection, sends_cancellations):
    checks = Checks(json.load(sys.stdin), open_connection, sends_cancellations)
    for name, body in checks.all():
        try:
            await asyncio.wait_for(body(), 90)
        except Exception as error:
            print(f"FAIL {name}: {describe(error)}", flush=True)
        else:
            print(f"ok {name}", flush=True)


def run(open_connection, sends_cancellations=True):
    asyncio.run(check(open_connection, sends_cancellations))
