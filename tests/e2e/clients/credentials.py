"""With which credential calls arrive at a server, as an operator stores, replaces and removes them, and calls with an API
key. The official Python SDK's client in 2.x, against servers/keeper.py behind each credential mode.

Reads JSON from standard input and prints `ok <check>` or `FAIL <check>: <why>`:

urls, names, where: of each server its URL, its name in the configuration, and what has its credential there. `shared`
    has one credential for everybody, `people` and `process` each person's own, `agents` each agent's own; `process` is
    started by the gateway
tokens: {caller: {server: token}}. alice, bob and carol are people, robot is an agent on its own, and exchanger is one that
    acts for alice
program, config: the gateway's program and its configuration
secrets: {owner: credential}; replaced: the same, for what takes the place of some
key: {id, key}: an API key of robot for `shared` and `agents`
"""

import asyncio
import hashlib
import json
import subprocess
import sys

from checks import Refusal, describe, expect, innermost
from mcp.shared.exceptions import MCPError
from sdk_client import connect

PLAN = json.load(sys.stdin)
SECRETS, REPLACED, KEY = PLAN["secrets"], PLAN["replaced"], PLAN["key"]
NOT_CONNECTED, DENIED = 4401, 4403
MODES = ("modern", "legacy")


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def gatewright(command, *rest, given=""):
    """Runs a command of the gateway's program, and returns what it prints."""
    ran = subprocess.run(
        [PLAN["program"], *command.split(), "--config", PLAN["config"], *rest],
        input=given, capture_output=True, text=True, timeout=60,
    )
    if ran.returncode != 0:
        raise RuntimeError(f"`{command}` ended with {ran.returncode}: {ran.stderr}")
    return ran.stdout + ran.stderr


def put(server, owner, secret):
    gatewright("vault put", PLAN["names"][server], *owner, given=secret + "\n")


async def use(server, token, tool="credential", mode="modern", statuses=None):
    plan = {"url": PLAN["urls"][server], "mode": mode, "bridge": None}
    async with connect(plan, token, statuses if statuses is not None else [], None) as client:
        text, is_error = await client.call(tool, {})
        expect(not is_error, text)
        return json.loads(text)


async def arrives(server, caller, secret, mode="modern", token=None):
    """Exactly this credential arrives, in its place, and nothing that the caller presented."""
    token = token or PLAN["tokens"][caller][server]
    found = await use(server, token, mode=mode)
    where = PLAN["where"][server]
    expect(found.get(where, [])[-1:] == [digest(secret)], f"{caller} at {server}: another one, or none: {sorted(found)}")
    everything = {name: set(words) for name, words in found.items()}
    others = {digest(other) for other in (*SECRETS.values(), *REPLACED.values()) if other != secret}
    for name, words in everything.items():
        expect(digest(token) not in words, f"{caller} at {server}: the caller's own token, in `{name}`")
        expect(not words & others, f"{caller} at {server}: somebody else's credential, in `{name}`")
        expect(name == where or digest(secret) not in words, f"{caller} at {server}: also in `{name}`")
    expect(where == "authorization" or "authorization" not in everything, f"{caller} at {server}: an authorization")
    if server == "process":
        # Nothing of the gateway's own environment either. Python itself sets the last.
        own = {where, "path", "home", "lang", "lc_ctype"}
        expect(set(everything) <= own, f"{caller} at {server}: {sorted(set(everything) - own)}")


async def refused(server, caller, code, words):
    for mode in MODES:
        found = await refusal(server, caller, mode=mode)
        expect(found[0] == code and words in found[1], f"{caller} at {server}: {found}")


async def refusal(server, caller, **how):
    """The JSON-RPC error that says so, whether it comes at the call or before it."""
    try:
        found = await use(server, PLAN["tokens"][caller][server], **how)
    # The SDK reports a refusal in several types, some of them as groups.
    except Exception as error:
        error = innermost(error)
        if isinstance(error, MCPError):
            return error.error.code, error.error.message
        if isinstance(error, Refusal):
            return error.args
        raise
    raise AssertionError(f"{caller} at {server}: not refused: {sorted(found)}")


async def told_what_is_missing():
    await refused("shared", "alice", NOT_CONNECTED, "its key is missing")
    await refused("people", "alice", NOT_CONNECTED, "Your account at keeper-people is not connected")
    await refused("process", "alice", NOT_CONNECTED, "Your account at keeper-process is not connected")
    await refused("agents", "robot", NOT_CONNECTED, "This agent is not connected to keeper-agents")


async def stored():
    put("shared", ["--shared"], SECRETS["everybody"])
    for person in ("alice", "bob"):
        put("people", ["--user", person], SECRETS[person])
        put("process", ["--user", person], SECRETS[person])
    for agent in ("robot", "exchanger"):
        put("agents", ["--agent", agent], SECRETS[agent])


async def shared():
    for mode in MODES:
        for caller in ("alice", "bob", "robot"):
            await arrives("shared", caller, SECRETS["everybody"], mode)


async def per_user():
    for mode in MODES:
        for server in ("people", "process"):
            await arrives(server, "alice", SECRETS["alice"], mode)
            await arrives(server, "bob", SECRETS["bob"], mode)
    # Also where an agent acts for the person; not where it acts for nobody.
    for server in ("people", "process"):
        await arrives(server, "exchanger", SECRETS["alice"])
        await refused(server, "robot", DENIED, "for people only")
        await refused(server, "carol", NOT_CONNECTED, "is not connected")


async def per_agent():
    for mode in MODES:
        await arrives("agents", "robot", SECRETS["robot"], mode)
        await arrives("agents", "exchanger", SECRETS["exchanger"], mode)
    await refused("agents", "alice", DENIED, "for agents only")


async def credential_opens_no_tool():
    forbidden = await refusal("people", "alice", tool="spend")
    unknown = await refusal("people", "alice", tool="no_such_tool")
    expect(forbidden == unknown, f"{forbidden} / {unknown}")


async def replaced():
    put("shared", ["--shared"], REPLACED["everybody"])
    put("people", ["--user", "alice"], REPLACED["alice"])
    put("process", ["--user", "alice"], REPLACED["alice"])
    put("agents", ["--agent", "robot"], REPLACED["robot"])
    for mode in MODES:
        await arrives("shared", "bob", REPLACED["everybody"], mode)
        await arrives("people", "alice", REPLACED["alice"], mode)
        await arrives("process", "alice", REPLACED["alice"], mode)
        await arrives("agents", "robot", REPLACED["robot"], mode)
        await arrives("people", "bob", SECRETS["bob"], mode)
        await arrives("process", "bob", SECRETS["bob"], mode)


async def removed():
    for server in ("people", "process"):
        gatewright("vault remove", PLAN["names"][server], "--user", "bob")
        await refused(server, "bob", NOT_CONNECTED, "is not connected")
        await arrives(server, "alice", REPLACED["alice"])


async def api_key():
    for mode in MODES:
        await arrives("agents", "robot", REPLACED["robot"], mode, KEY["key"])
        await arrives("shared", "robot", REPLACED["everybody"], mode, KEY["key"])
    # It was made for two servers, and this is a third.
    await expect_unauthorized("people", KEY["key"])
    # The secret's last letter, changed.
    await expect_unauthorized("agents", KEY["key"][:-7] + ("a" if KEY["key"][-7] != "a" else "b") + KEY["key"][-6:])


async def revoked_key():
    gatewright("key revoke", KEY["id"])
    for mode in MODES:
        await expect_unauthorized("agents", KEY["key"], mode)
    await expect_unauthorized("shared", KEY["key"])


async def expect_unauthorized(server, token, mode="modern"):
    statuses = []
    try:
        await use(server, token, mode=mode, statuses=statuses)
    # The SDK reports a refusal in several types, some of them as groups.
    except Exception:
        expect(set(statuses) == {401}, f"{server}: {statuses}")
    else:
        raise AssertionError(f"{server}: accepted")


async def shown():
    said = gatewright("vault list", "--json") + gatewright("key list", "--json") + gatewright("status")
    expect("alice" in said and KEY["id"] in said, "the lists are empty")
    for secret in (*SECRETS.values(), *REPLACED.values(), KEY["key"]):
        expect(secret not in said, "a secret is shown")


CHECKS = {
    "who has no credential is told so": told_what_is_missing,
    "credentials are stored": stored,
    "one credential for everybody arrives": shared,
    "each person's own arrives, and agents alone are refused": per_user,
    "each agent's own arrives, and people alone are refused": per_agent,
    "credential opens no tool that is not permitted": credential_opens_no_tool,
    "new value goes with the next call": replaced,
    "removed credential is gone with the next call": removed,
    "API key is taken where it was made for": api_key,
    "revoked API key is refused": revoked_key,
    "lists show no secret": shown,
}


async def main():
    for name, check in CHECKS.items():
        try:
            await asyncio.wait_for(check(), 90)
        except Exception as error:
            print(f"FAIL {name}: {describe(error)}", flush=True)
        else:
            print(f"ok {name}", flush=True)


asyncio.run(main())
