"""Gets JWT access tokens from op.mjs, as a person's client and as a machine does.

Reads JSON from standard input: {"issuer": URL, "wanted": {label: {"user": NAME, "resource": URL}
| {"robot": true, "resource": URL} | {"act_for": LABEL, "resource": URL} | {"user": NAME, "id_token": true}}}.
Writes {label: token}. `act_for` exchanges the token with that label.

A person's token takes the whole authorization code flow with PKCE (RFC 7636) and a resource indicator (RFC 8707):
this program follows the redirects and fills the provider's login and consent forms. Standard library only.
"""

import base64
import hashlib
import html
import http.cookiejar
import json
import re
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request

REDIRECT = "http://127.0.0.1:9/callback"
SECRET = "end-to-end-secret-0123456789-0123456789"
SCOPE = "mcp:read mcp:write"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


class Browser:
    """As much of a browser as a login needs: cookies, redirects and forms."""

    def __init__(self):
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(KeepRedirects, cookies)

    def fetch(self, url, form=None):
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            response = self.opener.open(urllib.request.Request(url, data=data), timeout=20)
        except urllib.error.HTTPError as error:
            response = error
        return response.status, response.headers.get("location"), response.read().decode()

    def authorize(self, url, user):
        """Follows the flow from the authorization endpoint to the query of the final redirect."""
        form = None
        for _ in range(20):
            status, location, page = self.fetch(url, form)
            form = None
            if location:
                url = urllib.parse.urljoin(url, location)
                if url.startswith(REDIRECT):
                    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
                continue
            action = re.search(r'<form[^>]*action="([^"]+)"', page)
            if status != 200 or not action:
                raise RuntimeError(f"the provider answered {status} at {url}: {page[:300]}")
            hidden = re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page)
            form = {html.unescape(name): html.unescape(value) for name, value in hidden}
            if 'name="login"' in page:
                form |= {"login": user, "password": "any"}
            url = urllib.parse.urljoin(url, html.unescape(action.group(1)))
        raise RuntimeError("the login did not end")


def ask_token(endpoint, form, client=None):
    request = urllib.request.Request(endpoint, data=urllib.parse.urlencode(form).encode())
    if client:
        request.add_header("authorization", "Basic " + base64.b64encode(f"{client}:{SECRET}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"no token for `{form['grant_type']}`: {error.read().decode()[:300]}") from None


def person(metadata, user, resource):
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    state = secrets.token_urlsafe(16)
    query = {
        "client_id": "person",
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": f"openid {SCOPE}",
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": resource,
    }
    url = metadata["authorization_endpoint"] + "?" + urllib.parse.urlencode(query)
    answer = Browser().authorize(url, user)
    # RFC 9207: the answer names its issuer.
    if answer.get("state") != state or answer.get("iss") != metadata["issuer"] or "code" not in answer:
        raise RuntimeError(f"unexpected answer from the authorization endpoint: {answer}")
    return ask_token(
        metadata["token_endpoint"],
        {
            "grant_type": "authorization_code",
            "client_id": "person",
            "code": answer["code"],
            "redirect_uri": REDIRECT,
            "code_verifier": verifier,
            "resource": resource,
        },
    )


def main():
    plan = json.load(sys.stdin)
    with urllib.request.urlopen(plan["issuer"] + "/.well-known/openid-configuration", timeout=20) as response:
        metadata = json.load(response)
    endpoint = metadata["token_endpoint"]
    tokens = {}
    # Exchanges last: they need another token first.
    for label, wanted in sorted(plan["wanted"].items(), key=lambda item: "act_for" in item[1]):
        resource = wanted["resource"]
        if "user" in wanted:
            answer = person(metadata, wanted["user"], resource)
            tokens[label] = answer["id_token" if wanted.get("id_token") else "access_token"]
        elif "act_for" in wanted:
            form = {
                "grant_type": EXCHANGE,
                "subject_token": tokens[wanted["act_for"]],
                "subject_token_type": ACCESS_TOKEN,
                "resource": resource,
            }
            tokens[label] = ask_token(endpoint, form, "exchanger")["access_token"]
        else:
            form = {"grant_type": "client_credentials", "resource": resource, "scope": SCOPE}
            tokens[label] = ask_token(endpoint, form, "robot")["access_token"]
    json.dump(tokens, sys.stdout)


if __name__ == "__main__":
    main()
