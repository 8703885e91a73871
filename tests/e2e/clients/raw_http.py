"""What no SDK would send, and what agents may: requests to the workbench server without a token, with two, with one where
it does not belong, and with those of agents.

Reads JSON from standard input: {"url", "issuer", "member": token, "robot": token of an agent on its own, "for_member" and
"for_visitor": tokens of an agent that acts for them}; prints `ok <check>` or `FAIL <check>: <why>`. Standard library only.

Agents may call `headers`, `steps` and `blob`; the member these and `secret`; the visitor `headers` only. `blob` needs the
scope `mcp:write`, which the agent that acts for others has not.
"""

import http.client
import json
import re
import sys
import urllib.parse

PLAN = json.load(sys.stdin)
URL = urllib.parse.urlsplit(PLAN["url"])
MODERN = "2026-07-28"


def send(method, path=URL.path, headers=(), body=None):
    """One request on a connection of its own; the headers are pairs, so that one can come twice."""
    connection = http.client.HTTPConnection(URL.hostname, URL.port, timeout=20)
    connection.putrequest(method, path)
    for name, value in headers:
        connection.putheader(name, value)
    data = json.dumps(body).encode() if body is not None else b""
    connection.putheader("content-length", str(len(data)))
    connection.endheaders(data)
    response = connection.getresponse()
    answer = response.status, dict((name.lower(), value) for name, value in response.getheaders()), response.read()
    connection.close()
    return answer


def call(method, params, *extra, name=None):
    """A request of the modern era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    }
    headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", MODERN),
        ("mcp-method", method),
        *([("mcp-name", name)] if name else []),
        *extra,
    ]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    return headers, body


def bearer(token):
    return "authorization", f"Bearer {token}"


def expect(condition, found):
    if not condition:
        raise AssertionError(str(found)[:500])


def no_token_is_challenged():
    headers, body = call("tools/list", {})
    for status, answer, _ in (send("POST", headers=headers, body=body), send("GET"), send("DELETE")):
        expect(status == 401, status)
        challenge = answer.get("www-authenticate", "")
        metadata = re.search(r'resource_metadata="([^"]+)"', challenge)
        expect(challenge.lower().startswith("bearer") and metadata, challenge)
    # RFC 9728 section 3: the challenge leads to the metadata of exactly this resource.
    location = urllib.parse.urlsplit(metadata.group(1))
    status, _, document = send("GET", location.path)
    expect(status == 200, status)
    document = json.loads(document)
    expect(document["resource"] == PLAN["url"], document)
    expect(PLAN["issuer"] in document["authorization_servers"], document)


def two_tokens_are_refused():
    headers, body = call("tools/list", {}, bearer(PLAN["member"]), bearer(PLAN["member"]))
    status, _, _ = send("POST", headers=headers, body=body)
    expect(status in (400, 401), status)


def token_in_the_query_is_refused():
    headers, body = call("tools/list", {})
    status, _, _ = send("POST", f"{URL.path}?access_token={PLAN['member']}", headers=headers, body=body)
    expect(status in (400, 401), status)


def foreign_origin_is_refused():
    headers, body = call("tools/list", {}, bearer(PLAN["member"]), ("origin", "https://attacker.example"))
    status, _, _ = send("POST", headers=headers, body=body)
    expect(status == 403, status)


def header_that_contradicts_the_body_is_refused():
    headers, body = call("tools/call", {"name": "headers", "arguments": {}}, bearer(PLAN["member"]), name="secret")
    status, _, answer = send("POST", headers=headers, body=body)
    expect(status == 400 and json.loads(answer)["error"]["code"] == -32020, (status, answer))


def use(token, tool, arguments):
    headers, body = call("tools/call", {"name": tool, "arguments": arguments}, bearer(PLAN[token]), name=tool)
    return send("POST", headers=headers, body=body)


def expect_allowed(token, tool, arguments):
    status, _, answer = use(token, tool, arguments)
    expect(status == 200 and b'"result"' in answer, (token, tool, status, answer))


def expect_denied(token, tool, arguments):
    status, _, answer = use(token, tool, arguments)
    expect(status == 200 and b'"error"' in answer and b'"result"' not in answer, (token, tool, status, answer))


def agent_may_call_what_is_granted_to_it():
    expect_allowed("robot", "steps", {"count": 1})
    expect_denied("robot", "secret", {})


def agent_that_acts_for_someone_may_call_what_both_may():
    expect_allowed("for_member", "steps", {"count": 1})
    expect_allowed("for_visitor", "headers", {})
    expect_allowed("member", "secret", {})
    # What the member may and the agent may not, and the other way about.
    expect_denied("for_member", "secret", {})
    expect_denied("for_visitor", "steps", {"count": 1})


def missing_scope_is_asked_for_only_where_it_helps():
    expect_allowed("robot", "blob", {"size": 1})
    status, answer, _ = use("for_member", "blob", {"size": 1})
    challenge = answer.get("www-authenticate", "")
    expect(status == 403 and 'error="insufficient_scope"' in challenge and "mcp:write" in challenge, (status, challenge))
    # The visitor may not call it, whatever the scope.
    expect_denied("for_visitor", "blob", {"size": 1})


CHECKS = {
    "no token is challenged, and the challenge leads to the metadata": no_token_is_challenged,
    "two tokens are refused": two_tokens_are_refused,
    "token in the query is refused": token_in_the_query_is_refused,
    "foreign origin is refused": foreign_origin_is_refused,
    "header that contradicts the body is refused": header_that_contradicts_the_body_is_refused,
    "agent may call what is granted to it": agent_may_call_what_is_granted_to_it,
    "agent that acts for someone may call what both may": agent_that_acts_for_someone_may_call_what_both_may,
    "missing scope is asked for only where it helps": missing_scope_is_asked_for_only_where_it_helps,
}
for name, check in CHECKS.items():
    try:
        check()
    except Exception as error:
        print(f"FAIL {name}: {type(error).__name__}: {error}")
    else:
        print(f"ok {name}")
