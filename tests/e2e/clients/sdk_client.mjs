// The official TypeScript SDK 1.x client against one server. Takes the plan that `sdk_client.py` describes, on standard
// input, and prints the same lines. This SDK speaks revisions up to 2025-11-25, so `mode` must be `legacy`.
import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';

const TEN_MEBIBYTES = 10 * 1024 * 1024;

const plan = JSON.parse(await new Response(process.stdin).text());

function expect(condition, found) {
  if (!condition) throw new Error(typeof found === 'string' ? found : JSON.stringify(found)?.slice(0, 300));
}

async function withClient(token, use, onQuestion) {
  const statuses = [];
  const transport = new StreamableHTTPClientTransport(new URL(plan.url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      statuses.push(response.status);
      return response;
    },
  });
  const client = new Client({ name: 'end-to-end', version: '1' }, { capabilities: onQuestion ? { elicitation: {} } : {} });
  if (onQuestion) client.setRequestHandler(ElicitRequestSchema, onQuestion);
  try {
    await client.connect(transport);
    return await use(client, transport);
  } catch (error) {
    error.statuses = statuses;
    throw error;
  } finally {
    // Ends the session at the server too, which closing the client alone does not.
    if (transport.sessionId) await transport.terminateSession();
    await client.close();
  }
}

const tools = async (client) => (await client.listTools()).tools.map((tool) => tool.name).sort();
const lists = async (client) => ({
  tools: await tools(client),
  prompts: (await client.listPrompts()).prompts.map((prompt) => prompt.name).sort(),
  resources: (await client.listResources()).resources.map((resource) => resource.uri).sort(),
  templates: (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate).sort(),
});
const call = (client, { tool, arguments: args }, options) => client.callTool({ name: tool, arguments: args }, undefined, options);
const textOf = (result) => result.content.filter((part) => part.type === 'text').map((part) => part.text).join('');

async function refusal(request, what) {
  try {
    await request;
  } catch (error) {
    if (error instanceof McpError) return `${error.code} ${error.message}`;
    throw error;
  }
  throw new Error(`${what} was not refused`);
}

// What exists and is hidden must not differ from what does not exist.
async function expectAlike(forbidden, unknown) {
  const first = await refusal(forbidden(), 'what is forbidden');
  const second = await refusal(unknown(), 'what does not exist');
  expect(first === second, `${first} / ${second}`);
}

const checks = {
  [`negotiates ${plan.protocol}`]: () =>
    withClient(plan.member, async (_client, transport) => expect(transport.protocolVersion === plan.protocol, transport.protocolVersion)),

  'lists are filtered': async () => {
    for (const [principal, sees] of Object.entries(plan.sees)) {
      await withClient(plan[principal], async (client) => {
        const { tools, prompts, resources, templates } = sees;
        const found = JSON.stringify(await lists(client));
        expect(found === JSON.stringify({ tools, prompts, resources, templates }), `${principal}: ${found}`);
      });
    }
  },

  'allowed call': async () => {
    for (const token of [plan.member, plan.visitor]) {
      await withClient(token, async (client) => {
        const result = await call(client, plan.call);
        expect(!result.isError && textOf(result).includes(plan.result), result);
      });
    }
  },

  'refused call looks like an unknown tool': async () => {
    await withClient(plan.member, async (client) => expect(!(await call(client, plan.refused)).isError, 'refused to the member'));
    await withClient(plan.visitor, async (client) => {
      const unknown = { tool: 'no_such_tool', arguments: {} };
      await expectAlike(() => call(client, plan.refused), () => call(client, unknown));
    });
  },

  progress: () =>
    withClient(plan.member, async (client) => {
      const seen = [];
      const result = await call(client, plan.progress, { onprogress: ({ progress }) => seen.push(progress) });
      expect(!result.isError && seen.length === 3, seen);
    }),

  'bad token gets 401': async () => {
    for (const [reason, token] of Object.entries(plan.rejected)) {
      const statuses = await withClient(token, tools).then(
        () => [],
        (error) => error.statuses,
      );
      expect(statuses.length > 0 && statuses.every((status) => status === 401), `${reason}: ${statuses}`);
    }
  },
};

if (plan.sees.member.prompts.length > 0) {
  checks['prompts and resources are got as permitted'] = async () => {
    const [name] = plan.sees.member.prompts;
    const [uri] = plan.sees.member.resources;
    await withClient(plan.member, async (client) => {
      expect((await client.getPrompt({ name })).messages.length > 0, 'no messages');
      expect((await client.readResource({ uri })).contents.length > 0, 'no contents');
    });
    await withClient(plan.visitor, async (client) => {
      await expectAlike(() => client.getPrompt({ name }), () => client.getPrompt({ name: 'no_such_prompt' }));
      await expectAlike(() => client.readResource({ uri }), () => client.readResource({ uri: 'no-such://resource' }));
    });
  };
}

if (plan.question) {
  checks['server asks only who may be asked'] = async () => {
    const asked = [];
    const decline = ({ params }) => {
      asked.push(params.message);
      return { action: 'decline' };
    };
    const ask = async (client) => call(client, plan.question.call);
    const result = await withClient(plan.member, ask, decline);
    expect(textOf(result).includes(plan.question.declined), result);
    expect(asked.length === 1, asked);
    const refused = await withClient(plan.visitor, (client) => ask(client).catch((error) => ({ isError: error instanceof McpError })), decline);
    expect(refused.isError, refused);
    expect(asked.length === 1, `the visitor was asked: ${asked}`);
  };
}

if (plan.workbench) {
  checks['cancellation reaches the server'] = () =>
    withClient(plan.member, async (client) => {
      const key = randomUUID();
      const stop = new AbortController();
      const options = { signal: stop.signal, onprogress: () => stop.abort('no longer wanted') };
      const ended = await call(client, { tool: 'wait', arguments: { key } }, options).then(
        () => 'by itself',
        () => 'by the client',
      );
      expect(ended === 'by the client', `the call ended ${ended}`);
      const result = await call(client, { tool: 'was_cancelled', arguments: { key } });
      expect(textOf(result) === 'true', 'the server saw no cancellation');
    });

  checks['10 MiB result'] = () =>
    withClient(plan.member, async (client) => {
      const text = textOf(await call(client, { tool: 'blob', arguments: { size: TEN_MEBIBYTES } }));
      expect(text === 'x'.repeat(TEN_MEBIBYTES), `${text.length} bytes`);
    });

  checks["client's token is not sent on"] = () =>
    withClient(plan.member, async (client) => {
      const seen = textOf(await call(client, { tool: 'headers', arguments: {} }));
      expect(!/authorization|cookie/.test(seen), seen);
    });
}

const within = (check, seconds) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no outcome within ${seconds} s`)), seconds * 1000);
    check().then(resolve, reject).finally(() => clearTimeout(timer));
  });

for (const [name, check] of Object.entries(checks)) {
  try {
    await within(check, 90);
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${`${error}`.replace(/\s+/g, ' ').slice(0, 600)}`);
  }
}
process.exit(0);
