// A real OpenID provider (panva's certified `oidc-provider`) on a free loopback port, with state in memory and throwaway
// keys. `cargo xtask e2e` starts it from a folder where the pinned packages are installed; it prints `listening on <issuer>`.
//
// Any login name is a person, with any password on the provider's development pages. A name decides the `groups` claim:
// `guest*` is in `guests`, everyone else in `staff`. A `resource` parameter (RFC 8707) on loopback gives a JWT access
// token for exactly that audience. Clients: `person` (public, authorization code with PKCE), `exchanger` (token exchange
// with `act`, RFC 8693) and `robot` (client credentials).
import { createServer } from 'node:http';
import * as jose from 'jose';
import { Provider, errors } from 'oidc-provider';

const REDIRECT = 'http://127.0.0.1:9/callback';
const SECRET = 'end-to-end-secret-0123456789-0123456789';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const SCOPES = 'mcp:read mcp:write';

const groupsOf = (name) => (name.startsWith('guest') ? ['guests'] : ['staff']);

const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
const signingKey = { ...(await jose.exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'end-to-end' };
const publicKey = { kty: signingKey.kty, n: signingKey.n, e: signingKey.e, alg: 'RS256', kid: signingKey.kid };

const resourceServer = (resource) => ({
  scope: SCOPES,
  audience: resource,
  accessTokenFormat: 'jwt',
  jwt: { sign: { alg: 'RS256' } },
});

function provider(issuer) {
  const op = new Provider(issuer, {
    jwks: { keys: [signingKey] },
    cookies: { keys: ['end-to-end'] },
    clients: [
      { client_id: 'person', token_endpoint_auth_method: 'none', application_type: 'native', grant_types: ['authorization_code'], response_types: ['code'], redirect_uris: [REDIRECT] },
      { client_id: 'exchanger', client_secret: SECRET, grant_types: [EXCHANGE], response_types: [], redirect_uris: [] },
      { client_id: 'robot', client_secret: SECRET, grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
    ],
    scopes: ['openid', 'mcp:read', 'mcp:write'],
    claims: { openid: ['sub', 'groups'] },
    pkce: { required: () => true },
    ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Grant: 600, Interaction: 600, Session: 600 },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, groups: groupsOf(sub) }) }),
    extraTokenClaims: (_ctx, token) =>
      token.kind === 'AccessToken'
        ? { groups: groupsOf(token.accountId), ...(token.extra?.act && { act: token.extra.act }) }
        : undefined,
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          if (!resource.startsWith('http://127.0.0.1:')) throw new errors.InvalidTarget();
          return resourceServer(resource);
        },
      },
    },
  });
  op.registerGrantType(EXCHANGE, (ctx) => exchange(op, issuer, ctx), ['subject_token', 'subject_token_type', 'resource', 'scope']);
  for (const event of ['server_error', 'grant.error', 'authorization.error']) {
    op.on(event, (_ctx, error) => console.error(event, error.message, error.error_detail ?? error.error_description ?? ''));
  }
  return op;
}

// RFC 8693 section 2: the subject is the person of a token that this provider issued, the actor is the client that asks.
async function exchange(op, issuer, ctx) {
  const { params, client } = ctx.oidc;
  const keys = jose.createLocalJWKSet({ keys: [publicKey] });
  const { payload } = await jose.jwtVerify(params.subject_token, keys, { issuer }).catch(() => {
    throw new errors.InvalidGrant('bad subject_token');
  });
  const scope = params.scope ?? 'mcp:read';
  const grant = new op.Grant({ accountId: payload.sub, clientId: client.clientId });
  grant.addResourceScope(params.resource, scope);
  const token = new op.AccessToken({
    accountId: payload.sub,
    client,
    gty: EXCHANGE,
    grantId: await grant.save(),
    scope,
    extra: { act: { sub: client.clientId, ...(payload.act && { act: payload.act }) } },
  });
  token.resourceServer = new op.ResourceServer(params.resource, resourceServer(params.resource));
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: token.expiration,
    scope,
  };
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  // The issuer names the port, so the provider can only be made once the port is known.
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on('request', provider(issuer).callback());
  console.log(`listening on ${issuer}`);
});
