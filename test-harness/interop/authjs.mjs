// Auth.js v5 as an app has it: @auth/core's own handler signs a user in and says who has signed in.
import { Auth, skipCSRFCheck } from "@auth/core";
import Credentials from "@auth/core/providers/credentials";
import { cookieHeader } from "./browser.mjs";
import { sessionClaims } from "./session-claims.mjs";

function config({ secret, secure, subject, claims }) {
  return {
    secret,
    trustHost: true,
    useSecureCookies: secure,
    basePath: "/auth",
    skipCSRFCheck,
    providers: [Credentials({ credentials: {}, authorize: () => ({ id: subject, name: "Somebody" }) })],
    callbacks: {
      jwt: sessionClaims(({ token, user }) => (user ? { ...token, ...claims } : token)),
      session: ({ session, token }) => ({ ...session, subject: token.sub, token }),
    },
  };
}

const url = (path) => `https://app.test/auth/${path}`;

/** Signs `subject` in; the Cookie header that a browser sends from then on. */
export async function issue(session) {
  const form = { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "" };
  const reply = await Auth(new Request(url("callback/credentials"), form), config(session));
  return cookieHeader(reply.headers.getSetCookie());
}

/** The Cookie header of a browser that has asked for the session, and so has a new token; and what is in the old one. */
export async function refresh({ cookie, ...session }) {
  const reply = await Auth(new Request(url("session"), { headers: { cookie } }), config(session));
  return { cookie: cookieHeader(reply.headers.getSetCookie()), token: (await reply.json()).token };
}

/** The subject of the session in this Cookie header, or null. */
export async function read({ cookie, ...session }) {
  const reply = await Auth(new Request(url("session"), { headers: { cookie } }), config(session));
  return (await reply.json())?.subject ?? null;
}
