// The official TypeScript SDK's client in 2.x, in one protocol mode against one server; `checks.mjs` says what it takes and
// does.
import { Client, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { run } from './checks.mjs';

const MODES = { modern: { pin: '2026-07-28' }, legacy: 'legacy', auto: 'auto' };

async function open(plan, token, statuses, ask) {
  const transport = new StreamableHTTPClientTransport(new URL(plan.url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      statuses.push(response.status);
      return response;
    },
  });
  const client = new Client(
    { name: 'end-to-end', version: '1' },
    { capabilities: ask ? { elicitation: {} } : {}, versionNegotiation: { mode: MODES[plan.mode] } },
  );
  if (ask) {
    client.setRequestHandler('elicitation/create', ({ params }) => {
      ask(params.message);
      return { action: 'decline' };
    });
  }
  await client.connect(transport);
  const fresh = { cacheMode: 'bypass' };
  const lists = {
    tools: async () => (await client.listTools({}, fresh)).tools,
    prompts: async () => (await client.listPrompts({}, fresh)).prompts,
    resources: async () => (await client.listResources({}, fresh)).resources,
    templates: async () => (await client.listResourceTemplates({}, fresh)).resourceTemplates,
  };
  return {
    protocol: client.getNegotiatedProtocolVersion(),
    list: (kind) => lists[kind](),
    call: ({ tool, arguments: args }, options) => client.callTool({ name: tool, arguments: args }, options),
    get: (name) => client.getPrompt({ name }),
    read: (uri) => client.readResource({ uri }, fresh),
    close: async () => {
      if (transport.sessionId) await transport.terminateSession();
      await client.close();
    },
  };
}

await run(open, (error) => error instanceof ProtocolError);
