// Reads a JSON list of tasks on standard input and writes the list of their results on standard output.
//
// A task: { "do": "issue" | "read" | "refresh", "package": "authjs" | "next-auth", "secret", "secure", and "subject" and "claims" to
// issue, "cookie" to read and to refresh }. Issuing results in a Cookie header, reading in a subject or null, refreshing in
// { "cookie", "token" }: the header from then on, and the claims until then. Or { "do": "verify",
// "package": "jose", "token", "keys", "issuer", "audience" }, which results in claims or null.
import * as authjs from "./authjs.mjs";
import * as identity from "./identity.mjs";
import * as nextAuth from "./next-auth.mjs";

const packages = { authjs, jose: identity, "next-auth": nextAuth };

// What the packages log is not a result.
console.log = console.info = console.debug = console.error;

let input = "";
for await (const chunk of process.stdin) input += chunk;
const results = [];
for (const task of JSON.parse(input)) results.push(await packages[task.package][task.do](task));
process.stdout.write(JSON.stringify(results));
