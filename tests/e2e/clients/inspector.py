"""The MCP Inspector's command line, in each protocol era against one server.

Reads JSON from standard input and prints `ok <check>` or `FAIL <check>: <why>`: a plan as `checks.py` describes it, with
these besides: command: the Inspector; eras: {how the Inspector calls it: revision}; home: a folder for what it keeps.
Standard library only.
"""

import json
import os
import subprocess
import sys

PLAN = json.load(sys.stdin)
METHODS = {
    "tools": ("tools/list", "name"),
    "prompts": ("prompts/list", "name"),
    "resources": ("resources/list", "uri"),
    "templates": ("resources/templates/list", "uriTemplate"),
}


def inspect(era, token, *options):
    """How it ended, what it printed, and what it said of an error."""
    ran = subprocess.run(
        [
            *PLAN["command"], PLAN["url"], "--transport", "http", "--protocol-era", era, "--quiet", "--format", "json",
            "--stored-auth-only", "--header", f"Authorization: Bearer {token}", *options,
        ],
        env=os.environ | {"HOME": PLAN["home"], "MCP_INSPECTOR_SECRET_STORE": "file"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )
    return ran.returncode, ran.stdout, ran.stderr


def succeed(era, token, *options):
    status, printed, said = inspect(era, token, *options)
    expect(status == 0, f"ended with {status}: {said or printed}")
    return json.loads(printed)


def call(call):
    return "--method", "tools/call", "--tool-name", call["tool"], "--tool-args-json", json.dumps(call["arguments"])


def expect(condition, found):
    if not condition:
        raise AssertionError(" ".join(str(found).split())[:500])


def filtered_lists(era):
    for principal, sees in PLAN["sees"].items():
        for kind, wanted in sees.items():
            method, name = METHODS[kind]
            answer = succeed(era, PLAN[principal], "--method", method)
            listed = answer.get("resourceTemplates" if kind == "templates" else kind)
            found = sorted(one[name] for one in listed)
            expect(found == wanted, f"{principal}: {found}")


def allowed_call(era):
    for principal in ("member", "visitor"):
        answer = succeed(era, PLAN[principal], *call(PLAN["call"]))
        texts = "".join(part.get("text", "") for part in answer["content"])
        expect(PLAN["result"] in texts and not answer.get("isError"), answer)


def refused_call(era):
    succeed(era, PLAN["member"], *call(PLAN["refused"]))
    forbidden = inspect(era, PLAN["visitor"], *call(PLAN["refused"]))
    unknown = inspect(era, PLAN["visitor"], *call({"tool": "no_such_tool", "arguments": {}}))
    expect(forbidden[0] != 0 and "result" not in forbidden[1], forbidden)
    # It names the tool that it was told to call.
    expect([part.replace(PLAN["refused"]["tool"], "no_such_tool") for part in forbidden[1:]] == list(unknown[1:]), (forbidden, unknown))


def rejected_token(era):
    for reason, token in PLAN["rejected"].items():
        status, printed, said = inspect(era, token, "--method", "tools/list")
        expect(status != 0 and '"tools"' not in printed and "401" in said + printed, (reason, status, printed, said))


CHECKS = {
    "lists are filtered": filtered_lists,
    "allowed call": allowed_call,
    "refused call looks like an unknown tool": refused_call,
    "bad token gets 401": rejected_token,
}
for era, revision in PLAN["eras"].items():
    for name, check in CHECKS.items():
        try:
            check(era)
        except Exception as error:
            print(f"FAIL {revision}: {name}: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok {revision}: {name}", flush=True)
