// An OAuth server that knows nothing of Coze: oidc-provider, with its own login, consent and device pages and an app for each flow.
// Coze's dialect is the translator's. Prints one line of JSON when it is ready, ends when its standard input does.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const redirectURI = 'http://127.0.0.1:1/callback';
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

const app = (client_id, grant, redirect_uris, response_types) => ({
  client_id, redirect_uris, response_types, grant_types: [grant, 'refresh_token'],
  application_type: 'native', token_endpoint_auth_method: 'none',
});

// The issuer is the translator's address: the one that a program of Coze's knows.
const provider = new Provider(process.argv[2], {
  clients: [
    app('pkce-app', 'authorization_code', [redirectURI], ['code']),
    app('device-app', deviceGrant, [], []),
  ],
  cookies: { keys: ['for the tests alone'] },
  features: { deviceFlow: { enabled: true } },
  rotateRefreshToken: true,
  ttl: { AccessToken: 900, AuthorizationCode: 60, DeviceCode: 300, Grant: 3600, Interaction: 300, RefreshToken: 3600, Session: 3600 },
});

const server = createServer(provider.callback());
server.listen(0, '127.0.0.1', () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  const at = (name) => base + provider.pathFor(name);
  console.log(JSON.stringify({
    authorize: at('authorization'), token: at('token'), device: at('device_authorization'), userinfo: at('userinfo'),
    scope: 'openid offline_access', redirect_uri: redirectURI, person: 'judith',
  }));
});
process.stdin.resume().on('end', () => process.exit());
