"""The MCP Inspector's command line, in each protocol era against one server.

Reads JSON from standard input and prints `ok <check>` or `FAIL <check>: <why>`: plan, as `checks.py` describes it; command:
the Inspector; eras: {how the Inspector calls it: revision}; home: a folder for what it keeps. Standard library only.

Each call is a program of its own, so there are few. It looks for a tool in the list before it calls it, so what is hidden
it does not call; what reaches the gateway and is refused there are arguments.
"""

import json
import os
import subprocess
import sys

GIVEN = json.load(sys.stdin)
PLAN = GIVEN["plan"]


def inspect(era, token, *options):
    """How it ended, what it printed, and what it said of an error."""
    ran = subprocess.run(
        [
            *GIVEN["command"], PLAN["url"], "--transport", "http", "--protocol-era", era, "--quiet", "--format", "json",
            "--stored-auth-only", "--header", f"Authorization: Bearer {token}", *options,
        ],
        env=os.environ | {"HOME": GIVEN["home"], "MCP_INSPECTOR_SECRET_STORE": "file"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr


def succeed(era, token, *options):
    status, printed, said = inspect(era, token, *options)
    expect(status == 0, f"ended with {status}: {said or printed}")
    return json.loads(printed)["result"]


def fail(era, token, *options):
    status, printed, said = inspect(era, token, *options)
    expect(status != 0 and not printed, f"ended with {status}: {printed}")
    return json.loads(said)["error"]


def call(call):
    return "--method", "tools/call", "--tool-name", call["tool"], "--tool-args-json", json.dumps(call["arguments"])


def expect(condition, found):
    if not condition:
        raise AssertionError(" ".join(str(found).split())[:500])


def filtered_lists(era):
    for principal, sees in PLAN["sees"].items():
        listed = succeed(era, PLAN[principal], "--method", "tools/list")
        found = sorted(tool["name"] for tool in listed["tools"])
        expect(found == sees["tools"], f"{principal}: {found}")


def allowed_call(era):
    answer = succeed(era, PLAN["visitor"], *call(PLAN["call"]))
    texts = "".join(part.get("text", "") for part in answer["content"])
    expect(PLAN["result"] in texts and not answer.get("isError"), answer)


def refused_call(era):
    succeed(era, PLAN["member"], *call(PLAN["refused"]))
    error = fail(era, PLAN["visitor"], *call(PLAN["refused"]))
    expect(error["code"] == "tool_not_found", error)


def limited_call(era):
    for limited in PLAN["limited"]:
        error = fail(era, PLAN["visitor"], *call(limited))
        expect(error["message"] == "denied by policy", error)


def rejected_token(era):
    error = fail(era, PLAN["rejected"]["not a token"], "--method", "tools/list")
    expect(error["code"] == "auth_required" or "401" in error["message"], error)


CHECKS = {
    "lists are filtered": filtered_lists,
    "allowed call": allowed_call,
    "refused tool is not to be found": refused_call,
    "bad token is refused": rejected_token,
}
if PLAN["limited"]:
    CHECKS["arguments that are not permitted are refused"] = limited_call
for era, revision in GIVEN["eras"].items():
    for name, check in CHECKS.items():
        try:
            check(era)
        except Exception as error:
            print(f"FAIL {revision}: {name}: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok {revision}: {name}", flush=True)
