// A signed identity as an app verifies it: with jose, and with the keys that the lookup service publishes.
import { createRemoteJWKSet, jwtVerify } from "jose";

/** The claims of the token, or null if it is not good. */
export async function verify({ token, keys, issuer, audience }) {
  try {
    const rules = { algorithms: ["EdDSA"], audience, issuer, typ: "JWT" };
    return (await jwtVerify(token, createRemoteJWKSet(new URL(keys)), rules)).payload;
  } catch (error) {
    // What is wrong with a token or its key has such a code; a service that cannot be reached has none.
    if (!error.code?.startsWith("ERR_JW")) throw error;
    return null;
  }
}
