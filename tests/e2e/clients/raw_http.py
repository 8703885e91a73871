"""What no SDK would send: requests without a token, with two, or with one where it does not belong.

Reads JSON from standard input: {"url", "issuer", "member": token, "agents": {what it is: token}, "tool", "arguments"};
prints `ok <check>` or `FAIL <check>: <why>`. Standard library only.
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
    params = {"name": PLAN["tool"], "arguments": PLAN["arguments"]}
    headers, body = call("tools/call", params, bearer(PLAN["member"]), name="another_tool")
    status, _, answer = send("POST", headers=headers, body=body)
    expect(status == 400 and json.loads(answer)["error"]["code"] == -32020, (status, answer))


def agents_without_grants_may_call_nothing():
    params = {"name": PLAN["tool"], "arguments": PLAN["arguments"]}
    # The same call by the member, so that the refusals below are not for another reason.
    headers, body = call("tools/call", params, bearer(PLAN["member"]), name=PLAN["tool"])
    status, _, answer = send("POST", headers=headers, body=body)
    expect(status == 200 and b'"result"' in answer, (status, answer))
    for agent, token in PLAN["agents"].items():
        headers, body = call("tools/call", params, bearer(token), name=PLAN["tool"])
        status, _, answer = send("POST", headers=headers, body=body)
        expect(status in (401, 403) or b'"error"' in answer, (agent, status, answer))
        expect(b'"result"' not in answer, (agent, answer))


CHECKS = {
    "no token is challenged, and the challenge leads to the metadata": no_token_is_challenged,
    "two tokens are refused": two_tokens_are_refused,
    "token in the query is refused": token_in_the_query_is_refused,
    "foreign origin is refused": foreign_origin_is_refused,
    "header that contradicts the body is refused": header_that_contradicts_the_body_is_refused,
    "agents without grants may call nothing": agents_without_grants_may_call_nothing,
}
for name, check in CHECKS.items():
    try:
        check()
    except Exception as error:
        print(f"FAIL {name}: {type(error).__name__}: {error}")
    else:
        print(f"ok {name}")
