// The checks of an MCP client from one of the TypeScript SDKs against one server. Takes the plan that `checks.py` describes,
// on standard input, and prints the same lines.
//
// `open(plan, token, statuses, ask)` connects as the holder of a token. It notes the HTTP status codes that it sees, and
// calls `ask(message)` when the server asks something, which the client then declines. What it gives is a connection with
// `protocol`, `list(kind)`, `call(call, options)`, `get(prompt)`, `read(uri)` and `close()`. `isRefusal` tells the
// JSON-RPC error that answers a request from other errors.
import { randomUUID } from 'node:crypto';

const TEN_MEBIBYTES = 10 * 1024 * 1024;

function expect(condition, found) {
  if (!condition) throw new Error(typeof found === 'string' ? found : JSON.stringify(found)?.slice(0, 300));
}

const textOf = (result) => result.content.filter((part) => part.type === 'text').map((part) => part.text).join('');

const NAMES = { tools: 'name', prompts: 'name', resources: 'uri', templates: 'uriTemplate' };

const within = (check, seconds) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no outcome within ${seconds} s`)), seconds * 1000);
    check().then(resolve, reject).finally(() => clearTimeout(timer));
  });

export async function run(open, isRefusal) {
  const plan = JSON.parse(await new Response(process.stdin).text());

  for (const [name, check] of Object.entries(checksOf(plan, open, isRefusal))) {
    try {
      await within(check, 90);
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`FAIL ${name}: ${`${error}`.replace(/\s+/g, ' ').slice(0, 600)}`);
    }
  }
  process.exit(0);
}

function checksOf(plan, open, isRefusal) {
  async function withClient(token, use, { ask, statuses = [] } = {}) {
    const client = await open(plan, token, statuses, ask);
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  }

  const names = async (client, kind) => (await client.list(kind)).map((one) => one[NAMES[kind]]).sort();

  async function refusal(request, what) {
    try {
      await request;
    } catch (error) {
      if (isRefusal(error)) return `${error.code} ${error.message}`;
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

  async function expectForMembersOnly(call) {
    await withClient(plan.member, async (client) => expect(!(await client.call(call)).isError, 'refused to the member'));
    await withClient(plan.visitor, async (client) => {
      const unknown = { tool: 'no_such_tool', arguments: {} };
      await expectAlike(() => client.call(call), () => client.call(unknown));
    });
  }

  const checks = {
    [`negotiates ${plan.protocol}`]: () =>
      withClient(plan.member, async (client) => expect(client.protocol === plan.protocol, client.protocol)),

    'lists are filtered': async () => {
      for (const [principal, sees] of Object.entries(plan.sees)) {
        await withClient(plan[principal], async (client) => {
          for (const [kind, wanted] of Object.entries(sees)) {
            const found = JSON.stringify(await names(client, kind));
            expect(found === JSON.stringify(wanted), `${principal}: ${kind}: ${found}`);
          }
        });
      }
    },

    'allowed call': async () => {
      for (const token of [plan.member, plan.visitor]) {
        await withClient(token, async (client) => {
          const result = await client.call(plan.call);
          expect(!result.isError && textOf(result).includes(plan.result), result);
        });
      }
    },

    'refused call looks like an unknown tool': () => expectForMembersOnly(plan.refused),

    'bad token gets 401': async () => {
      for (const [reason, token] of Object.entries(plan.rejected)) {
        const statuses = [];
        const accepted = await withClient(token, (client) => names(client, 'tools'), { statuses }).then(
          () => true,
          () => false,
        );
        expect(!accepted && statuses.length > 0 && statuses.every((status) => status === 401), `${reason}: ${statuses}`);
      }
    },
  };

  if (plan.limited.length > 0) {
    checks['arguments that are not permitted are refused'] = async () => {
      for (const call of plan.limited) await expectForMembersOnly(call);
    };
  }

  if (plan.progress) {
    checks.progress = () =>
      withClient(plan.member, async (client) => {
        const seen = [];
        const result = await client.call(plan.progress, { onprogress: ({ progress }) => seen.push(progress) });
        expect(!result.isError && seen.length === 3, seen);
      });
  }

  if (plan.sees.member.prompts?.length > 0) {
    checks['prompts and resources are got as permitted'] = async () => {
      const [name] = plan.sees.member.prompts;
      const [uri] = plan.sees.member.resources;
      await withClient(plan.member, async (client) => {
        expect((await client.get(name)).messages.length > 0, 'no messages');
        expect((await client.read(uri)).contents.length > 0, 'no contents');
      });
      await withClient(plan.visitor, async (client) => {
        await expectAlike(() => client.get(name), () => client.get('no_such_prompt'));
        await expectAlike(() => client.read(uri), () => client.read('no-such://resource'));
      });
    };
  }

  if (plan.question) {
    checks['server asks only who may be asked'] = async () => {
      const asked = [];
      const ask = (message) => asked.push(message);
      const result = await withClient(plan.member, (client) => client.call(plan.question.call), { ask });
      expect(textOf(result).includes(plan.question.declined), result);
      expect(asked.length === 1, asked);
      const answer = (client) => client.call(plan.question.call).catch((error) => ({ isError: isRefusal(error) }));
      const refused = await withClient(plan.visitor, answer, { ask });
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
        const ended = await client.call({ tool: 'wait', arguments: { key } }, options).then(
          () => 'by itself',
          () => 'by the client',
        );
        expect(ended === 'by the client', `the call ended ${ended}`);
        const result = await client.call({ tool: 'was_cancelled', arguments: { key } });
        expect(textOf(result) === 'true', 'the server saw no cancellation');
      });

    checks['10 MiB result'] = () =>
      withClient(plan.member, async (client) => {
        const text = textOf(await client.call({ tool: 'blob', arguments: { size: TEN_MEBIBYTES } }));
        expect(text === 'x'.repeat(TEN_MEBIBYTES), `${text.length} bytes`);
      });

    checks["client's token is not sent on"] = () =>
      withClient(plan.member, async (client) => {
        const seen = textOf(await client.call({ tool: 'headers', arguments: {} }));
        expect(!/authorization|cookie/.test(seen), seen);
      });
  }
  return checks;
}
