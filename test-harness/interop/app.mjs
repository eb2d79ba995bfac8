// A small application as people write it: express, and @auth/express with sessions in tokens. It prints its port's number once
// it listens.
//
//   node app.mjs PORT            with the `jwt` callback that is shipped
//   node app.mjs PORT plain      with none
import { ExpressAuth, getSession } from "@auth/express";
import Credentials from "@auth/express/providers/credentials";
import express from "express";
import { sessionClaims } from "./session-claims.mjs";

const [port, plain] = process.argv.slice(2);

// The secret is in AUTH_SECRET, where the package looks for it.
const auth = {
  trustHost: true,
  providers: [Credentials({ credentials: { name: {} }, authorize: ({ name }) => ({ id: name, name }) })],
  callbacks: {
    ...(plain ? {} : { jwt: sessionClaims() }),
    session: ({ session, token }) => ({ ...session, subject: token.sub }),
  },
};

const app = express();
app.use("/api/auth", ExpressAuth(auth));
// Whom the gate names, and whom the application finds by itself.
app.get("/", async (request, reply) => {
  const session = await getSession(request, auth);
  reply.json({ gate: request.get("x-user-id") ?? null, own: session?.subject ?? null });
});
app.listen(Number(port), "127.0.0.1", () => console.log(`listening on ${port}`));
