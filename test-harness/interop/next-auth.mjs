// NextAuth v4 as an app has it: next-auth's own route signs a user in and says who has signed in.
import NextAuth from "next-auth/next";
import Credentials from "next-auth/providers/credentials";
import { cookieHeader } from "./browser.mjs";
import { sessionClaims } from "./session-claims.mjs";

// CommonJS, whose default export Node leaves in its box.
const handler = NextAuth.default ?? NextAuth;
const credentials = Credentials.default ?? Credentials;

process.env.NEXTAUTH_URL = "https://app.test/api/auth";

function options({ secret, secure, subject, claims }) {
  return {
    secret,
    useSecureCookies: secure,
    session: { strategy: "jwt" },
    providers: [credentials({ credentials: {}, authorize: () => ({ id: subject, name: "Somebody" }) })],
    callbacks: {
      jwt: sessionClaims(({ token, user }) => (user ? { ...token, ...claims } : token)),
      session: ({ session, token }) => ({ ...session, subject: token.sub, token }),
    },
  };
}

/** One request to the app's route; what became of it. */
async function call(session, method, path, cookie, body) {
  const lines = cookie ? cookie.split("; ") : [];
  const cookies = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), decodeURIComponent(line.slice(line.indexOf("=") + 1))]));
  const reply = { status: 200, headers: {}, body: undefined };
  const response = {
    status: (status) => ((reply.status = status), response),
    setHeader: (name, value) => ((reply.headers[name.toLowerCase()] = value), response),
    getHeader: (name) => reply.headers[name.toLowerCase()],
    appendHeader: (name, value) => response.setHeader(name, [response.getHeader(name) ?? [], value].flat()),
    json: (value) => ((reply.body = value), response),
    send: (value) => ((reply.body = value), response),
    redirect: () => response,
    end: () => response,
  };
  const headers = { host: "app.test", "x-forwarded-proto": "https", cookie };
  await handler({ method, headers, cookies, body, query: { nextauth: path.split("/") } }, response, options(session));
  return { body: reply.body, lines: [reply.headers["set-cookie"] ?? []].flat() };
}

/** Signs `subject` in; the Cookie header that a browser sends from then on. */
export async function issue(session) {
  const start = await call(session, "GET", "csrf", "", undefined);
  const body = { csrfToken: start.body.csrfToken, json: "true" };
  const signedIn = await call(session, "POST", "callback/credentials", cookieHeader(start.lines), body);
  return cookieHeader([...start.lines, ...signedIn.lines]);
}

/** The Cookie header of a browser that has asked for the session, and so has a new token; and what is in the old one. */
export async function refresh({ cookie, ...session }) {
  const { body, lines } = await call(session, "GET", "session", cookie, undefined);
  return { cookie: cookieHeader(lines), token: body.token };
}

/** The subject of the session in this Cookie header, or null. */
export async function read({ cookie, ...session }) {
  const { body } = await call(session, "GET", "session", cookie, undefined);
  return body?.subject ?? null;
}
