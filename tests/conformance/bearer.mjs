// Stands before the gateway for the conformance suite, which cannot send a token: adds `Authorization` to each request and
// passes everything else on as it comes, both ways and without delay. Takes GATEWAY, a URL, and TOKEN from the environment.
// Prints `listening on http://127.0.0.1:<port>`.
import http from 'node:http';
import { pipeline } from 'node:stream';

const { hostname, port } = new URL(process.env.GATEWAY);
const authorization = ['authorization', `Bearer ${process.env.TOKEN}`];

const server = http.createServer((request, response) => {
  const onward = http.request({
    hostname,
    port,
    agent: false,
    method: request.method,
    path: request.url,
    headers: [...request.rawHeaders, ...authorization],
  });
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    // A stream's head comes before its first event does.
    response.flushHeaders();
    pipeline(answer, response, () => {});
  });
  onward.on('error', (error) => response.destroy(error));
  // Whoever leaves here, leaves there.
  response.on('close', () => onward.destroy());
  pipeline(request, onward, () => {});
});
server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
