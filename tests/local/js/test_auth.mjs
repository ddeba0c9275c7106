// The official JavaScript client signs in through the GitHub stand-in.
// node test_auth.mjs URL KEY: exits with 1 and says why when something differs.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const [url, key] = process.argv.slice(2);
const kept = new Map();
const storage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => void kept.set(name, value),
  removeItem: (name) => void kept.delete(name),
};
const client = createClient(url, key, {
  auth: { flowType: "pkce", storage, autoRefreshToken: false, detectSessionInUrl: false },
});
const location = async (answer) => (await answer).headers.get("location");
const browse = (address, options) => fetch(address, { redirect: "manual", ...options });

const { data, error } = await client.auth.signInWithOAuth({
  provider: "github",
  options: { redirectTo: "http://127.0.0.1:8000/auth/callback", skipBrowserRedirect: true },
});
assert.equal(error, null);
const page = await location(browse(data.url));
const body = new URLSearchParams({ state: new URL(page).searchParams.get("state"), login: "js-person" });
const callback = await location(browse(page, { method: "POST", body }));
const back = new URL(await location(browse(callback)));
assert.equal(back.pathname, "/auth/callback");

const exchanged = await client.auth.exchangeCodeForSession(back.searchParams.get("code"));
assert.equal(exchanged.error, null);
assert.equal(exchanged.data.user.user_metadata.user_name, "js-person");
assert.equal(exchanged.data.user.identities[0].provider, "github");
const again = await client.auth.exchangeCodeForSession(back.searchParams.get("code"));
assert.ok(again.error);

const signedIn = await client.auth.getUser();
assert.equal(signedIn.data.user.id, exchanged.data.user.id);
const refreshed = await client.auth.refreshSession();
assert.equal(refreshed.error, null);
assert.equal((await client.auth.signOut({ scope: "global" })).error, null);
const gone = await client.auth.refreshSession({ refresh_token: refreshed.data.session.refresh_token });
assert.equal(gone.error.code, "refresh_token_not_found");
