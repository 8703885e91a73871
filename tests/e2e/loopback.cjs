// Preloaded (`node --require`) into servers that name no host and so would listen on every interface: they get
// 127.0.0.1. Prints `listening on http://127.0.0.1:<port>`, because with port 0 only the system knows the port.
const net = require('node:net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const callback = rest.find((argument) => typeof argument === 'function');
  this.once('listening', () => console.log(`listening on http://127.0.0.1:${this.address().port}`));
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, ...(callback ? [callback] : []));
};
