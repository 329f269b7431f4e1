// The npm package oidc-provider as the test's identity provider: node oidc_provider.mjs FOLDER CONFIGURATION
// CONFIGURATION is JSON: port, keys (a JWK set with private keys), client, people (by what they type as their login).
import { webcrypto } from 'node:crypto';
import { pathToFileURL } from 'node:url';

globalThis.crypto ??= webcrypto; // Node.js 18 has it under another name.
const [folder, configuration] = process.argv.slice(2);
const { port, keys, client, people } = JSON.parse(configuration);
const { default: Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: keys,
  clients: [client],
  cookies: { keys: ['of this test only'] },
  claims: { openid: ['sub'], profile: ['name', 'employee_number'], email: ['email', 'email_verified'] },
  features: { rpInitiatedLogout: { enabled: true } },
  async findAccount(_context, id) {
    return { accountId: id, claims: () => ({ sub: id, ...people[id] }) };
  },
});
const server = provider.listen(port, '127.0.0.1', () => console.log('ready'));
process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeAllConnections(); });
