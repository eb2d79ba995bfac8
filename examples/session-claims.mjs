// For an application with Auth.js v5 or NextAuth v4: two claims by which a session can be ended early. A token is
// issued again, with another `iat` and `jti`, whenever the session is asked for; these stay what they were.
//
//   callbacks: { jwt: sessionClaims() }                  or, with a callback of your own,
//   callbacks: { jwt: sessionClaims(async ({ token }) => token) }
//
// Sessions from before have neither claim: they end with all others of their user.
export function sessionClaims(jwt = ({ token }) => token) {
  return async (parameters) => {
    // An account comes with signing in and never with a refresh.
    const started = parameters.account
      ? { sid: crypto.randomUUID(), auth_time: Math.floor(Date.now() / 1000) }
      : { sid: parameters.token.sid, auth_time: parameters.token.auth_time };
    const token = await jwt(parameters);
    // Last, so that neither an `update` of the session nor a callback that begins anew changes them.
    return token && { ...token, ...started };
  };
}
