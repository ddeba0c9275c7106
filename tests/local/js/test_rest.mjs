// The official JavaScript client against the embedded REST interface.
// node test_rest.mjs URL KEY TOKEN: exits with 1 and says why when something differs.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const [url, key, token] = process.argv.slice(2);
const db = createClient(url, key, {
  accessToken: async () => token,
  auth: { persistSession: false, autoRefreshToken: false },
});

const checks = {
  async "select with filters, order and range"() {
    const { data, error, status } = await db
      .from("books").select("id,title").gt("pages", 90).lt("pages", 400).neq("id", 5)
      .ilike("title", "%rivers").order("id", { ascending: false }).range(0, 4);
    assert.equal(error, null);
    assert.equal(status, 200);
    assert.deepEqual(data, [{ id: 2, title: "Warm rivers" }, { id: 1, title: "Cold rivers" }]);
  },
  async "embeds to one, to many, across, inner"() {
    const { data } = await db.from("books")
      .select("title, author:authors!author_id(name), genres!inner(code), isbns(code)").eq("id", 1).single();
    assert.deepEqual(data, {
      title: "Cold rivers", author: { name: "Ada Lund" },
      genres: [{ code: "nat" }, { code: "riv" }], isbns: { code: "978-1" },
    });
  },
  async "in, or, not, contains, textSearch, is, match"() {
    const ids = async (query) => (await query.order("id")).data.map((row) => row.id);
    const books = () => db.from("books").select("id");
    assert.deepEqual(await ids(books().in("title", ["Cold rivers", "50% of a_title", 'a"b,(c)'])), [1, 5]);
    assert.deepEqual(await ids(books().or("id.eq.1,and(pages.lt.90,price.is.null)")), [1, 3]);
    assert.deepEqual(await ids(books().not("price", "is", null).match({ author_id: 1 })), [1, 2]);
    assert.deepEqual(await ids(books().contains("facts", { lang: "en" })), [2, 4]);
    assert.deepEqual(await ids(books().textSearch("words", "river & !cold", { config: "english" })), [2]);
    assert.deepEqual(await ids(books().is("available", null)), [3]);
    assert.deepEqual(await ids(books().overlaps("shelf", "[4,6)")), [1, 2]);
    assert.deepEqual(await ids(books().likeAnyOf("title", ["Cold%", "Warm%"])), [1, 2]);
  },
  async "counts with and without rows"() {
    const whole = await db.from("books").select("*", { count: "exact", head: true });
    assert.deepEqual([whole.count, whole.data, whole.status], [5, null, 200]);
    const part = await db.from("books").select("id", { count: "exact" }).range(0, 1);
    assert.deepEqual([part.count, part.data.length, part.status], [5, 2, 206]);
  },
  async "single and maybeSingle"() {
    const none = await db.from("books").select().eq("id", 99).single();
    assert.deepEqual([none.status, none.error.code, none.data], [406, "PGRST116", null]);
    const maybe = await db.from("books").select().eq("id", 99).maybeSingle();
    assert.deepEqual([maybe.error, maybe.data], [null, null]);
    const many = await db.from("books").select("id").maybeSingle();
    assert.equal(many.error.code, "PGRST116");
  },
  async "insert, bulk, upsert, update, delete"() {
    const one = await db.from("publishers").insert({ id: 20, name: "Js" }).select().single();
    assert.deepEqual(one.data, { id: 20, name: "Js", city: null });
    assert.equal((await db.from("publishers").insert([{ id: 21, name: "A" }, { id: 22, name: "B" }])).status, 201);
    const up = await db.from("publishers").upsert([{ id: 21, name: "A2" }, { id: 23, name: "C" }]).select("id,name");
    assert.deepEqual(up.data, [{ id: 21, name: "A2" }, { id: 23, name: "C" }]);
    const kept = await db.from("publishers")
      .upsert({ id: 21, name: "no" }, { ignoreDuplicates: true, onConflict: "id" }).select();
    assert.deepEqual(kept.data, []);
    const changed = await db.from("publishers").update({ name: "D" }).eq("id", 22).select("name");
    assert.deepEqual(changed.data, [{ name: "D" }]);
    const gone = await db.from("publishers").delete({ count: "exact" }).gte("id", 20);
    assert.deepEqual([gone.status, gone.count], [204, 4]);
  },
  async "refusals arrive whole"() {
    const twice = await db.from("publishers").insert({ id: 1, name: "x" });
    assert.deepEqual([twice.status, twice.error.code], [409, "23505"]);
    assert.equal((await db.from("secrets").select()).status, 403);
    assert.equal((await db.from("nope").select()).error.code, "PGRST205");
    assert.equal((await db.schema("auth").from("users").select()).error.code, "PGRST106");
    const own = await db.rpc("fail", { state: "PT402", message: "pay" });
    assert.deepEqual([own.status, own.error.message, own.error.hint], [402, "pay", "h"]);
  },
  async "rpc: scalar, row, rows, void, get, filters"() {
    assert.equal((await db.rpc("add", { a: 1, b: 2 })).data, 3);
    assert.equal((await db.rpc("add", { a: 1, b: 2 }, { get: true })).data, 3);
    assert.equal((await db.rpc("one_book", { which: 2 })).data.title, "Warm rivers");
    assert.deepEqual((await db.rpc("books_by", { writer: 1 }).select("id").gt("pages", 200)).data, [{ id: 2 }]);
    assert.equal((await db.rpc("books_by", { writer: 1 }, { count: "exact", head: true })).count, 2);
    assert.equal((await db.rpc("nothing")).status, 204);
    assert.deepEqual((await db.rpc("arrays", { xs: ["a"], ys: [1, 2] })).data, "1:2");
    assert.equal((await db.rpc("who")).data.role, "authenticated");
    assert.equal((await db.rpc("missing", { a: 1 })).error.code, "PGRST202");
  },
  async "rows of the caller, and csv"() {
    assert.equal((await db.from("loans").select("id")).data.length, 1);
    assert.equal((await db.from("isbns").select().order("code").csv()).data, "book_id,code\n1,978-1\n2,978-2");
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${name}\n${error.stack}`);
  }
}
process.exit(failed ? 1 : 0);
