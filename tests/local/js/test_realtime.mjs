// The official JavaScript client against the embedded Realtime.
// node test_realtime.mjs URL KEY TOKEN OTHER TOPIC: exits with 1 and says why when something differs.
// TOKEN may join TOPIC (private) and say things on it, OTHER may not. It prints `joined` and then waits for a row of
// the database on TOPIC; a row with {"last": true} ends it.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const [url, key, token, other, topic] = process.argv.slice(2);
const client = async (token) => {
  const made = createClient(url, key, { accessToken: async () => token });
  await made.realtime.setAuth(); // else the first join goes out before the token is there
  return made;
};
const subscribed = (channel) =>
  new Promise((resolve) => channel.subscribe((status, error) => resolve([status, error])));
const said = (name) => console.log(`ok ${name}`);
const within = (promise, what) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what}`)), 8000))]);

const stranger = await client(other);
const refused = stranger.channel(topic, { config: { private: true } });
const [status, error] = await within(subscribed(refused), "refusal");
assert.equal(status, "CHANNEL_ERROR");
assert.match(error.message, /Unauthorized: You do not have permissions to read from this Channel topic/);
await stranger.removeAllChannels();
said("a private channel is refused");

const one = await client(token);
const two = await client(token);
const heard = [];
let told;
const inside = one
  .channel(topic, { config: { private: true, broadcast: { ack: true } } })
  .on("broadcast", { event: "*" }, (message) => {
    heard.push(message);
    told?.(message);
  });
const next = () => within(new Promise((resolve) => (told = resolve)), "broadcast");
assert.equal((await within(subscribed(inside), "join"))[0], "SUBSCRIBED");
said("a private channel is joined");

const peer = two.channel(topic, { config: { private: true, broadcast: { ack: true, self: false } } });
assert.equal((await subscribed(peer))[0], "SUBSCRIBED");
let coming = next();
assert.equal(await peer.send({ type: "broadcast", event: "said", payload: { a: "é" } }), "ok");
assert.deepEqual((({ event, payload }) => ({ event, payload }))(await coming), { event: "said", payload: { a: "é" } });
coming = next();
await peer.send({ type: "broadcast", event: "bytes", payload: new Uint8Array([0, 255]).buffer });
assert.deepEqual(new Uint8Array((await coming).payload), new Uint8Array([0, 255]));
said("broadcasts of a client, objects and bytes");

coming = next();
assert.equal((await peer.httpSend("posted", { b: 1 })).success, true);
assert.deepEqual((await coming).payload, { b: 1 });
said("broadcasts by POST");

const room = { config: { presence: { key: "one" } } };
const seen = one.channel("room", room).on("presence", { event: "sync" }, () => arrived?.(seen.presenceState()));
let arrived;
const state = (people) =>
  within(
    new Promise((resolve) => {
      arrived = (now) => Object.keys(now).sort().join() === people && resolve(now);
      arrived(seen.presenceState());
    }),
    `presence of ${people}`,
  );
assert.equal((await subscribed(seen))[0], "SUBSCRIBED");
assert.equal(await seen.track({ document: 1 }), "ok");
await state("one");
const guest = two.channel("room", { config: { presence: { key: "two" } } });
assert.equal((await subscribed(guest))[0], "SUBSCRIBED");
assert.equal(await guest.track({ document: 2 }), "ok");
assert.equal((await state("one,two")).two[0].document, 2);
assert.equal(await guest.untrack(), "ok");
await state("one");
await guest.track({ document: 3 });
await state("one,two");
await two.removeAllChannels();
await state("one");
said("presence of two");

const fromDatabase = next();
console.log("joined");
const row = await fromDatabase;
assert.equal(row.event, "row");
assert.equal(row.meta.id, row.payload.id);
said("a row of the database");

let last = next();
while (!(await last).payload.last) last = next();
assert.equal(new Set(heard.filter((each) => each.event === "row").map((each) => each.meta.id)).size, 2);
await one.removeAllChannels();
said("the last row");
process.exit(0); // timers of what came in time are still running
