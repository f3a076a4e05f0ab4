// In the bundle this stands for undici: the part of it that is used. The rest (fetch, caches, mocks, WebSocket) takes as long to load as all
// else of a worker.
module.exports = {
  Agent: require('undici/lib/dispatcher/agent.js'),
  Pool: require('undici/lib/dispatcher/pool.js'),
  ProxyAgent: require('undici/lib/dispatcher/proxy-agent.js'),
  buildConnector: require('undici/lib/core/connect.js'),
};
