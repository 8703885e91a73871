// The official TypeScript SDK's client in 1.x against one server; `checks.mjs` says what it takes and does. This SDK speaks
// revisions up to 2025-11-25, so `mode` must be `legacy`.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';
import { run } from './checks.mjs';

async function open(plan, token, statuses, ask) {
  const transport = new StreamableHTTPClientTransport(new URL(plan.url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      statuses.push(response.status);
      return response;
    },
  });
  const client = new Client({ name: 'end-to-end', version: '1' }, { capabilities: ask ? { elicitation: {} } : {} });
  if (ask) {
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      ask(params.message);
      return { action: 'decline' };
    });
  }
  await client.connect(transport);
  const lists = {
    tools: async () => (await client.listTools()).tools,
    prompts: async () => (await client.listPrompts()).prompts,
    resources: async () => (await client.listResources()).resources,
    templates: async () => (await client.listResourceTemplates()).resourceTemplates,
  };
  return {
    protocol: transport.protocolVersion,
    list: (kind) => lists[kind](),
    call: ({ tool, arguments: args }, options) => client.callTool({ name: tool, arguments: args }, undefined, options),
    get: (name) => client.getPrompt({ name }),
    read: (uri) => client.readResource({ uri }),
    close: async () => {
      // Ends the session at the server too, which closing the client alone does not.
      if (transport.sessionId) await transport.terminateSession();
      await client.close();
    },
  };
}

await run(open, (error) => error instanceof McpError);
