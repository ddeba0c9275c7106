// supabase-js against the embedded Storage. Run by tests/local/test_storage_clients.py; prints how many checks held.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY, OWNER, OTHER, TOKEN } = process.env;
const quiet = { auth: { persistSession: false, autoRefreshToken: false } };
const user = createClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, { ...quiet, accessToken: async () => TOKEN });
const service = createClient(SUPABASE_URL, SUPABASE_SECRET_KEY, quiet);
const anon = createClient(SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, quiet);

let checks = 0;
function check(found, expected) {
  assert.deepEqual(found, expected);
  checks += 1;
}
function data({ data, error }) {
  assert.equal(error, null);
  return data;
}

const docs = user.storage.from("docs");
const folder = `${OWNER}/js`;
const key = `${folder}/a b.txt`;

// Uploads in every shape that the client sends.
const made = data(await docs.upload(key, "hello", { contentType: "text/plain", cacheControl: "60", metadata: { a: 1 } }));
check(made.fullPath, `docs/${key}`);
check(typeof made.id, "string");
data(await docs.upload(`${folder}/blob`, new Blob(["blob"], { type: "text/markdown" })));
data(await docs.upload(`${folder}/buffer`, Buffer.from("buffer")));
const form = new FormData();
form.append("", new Blob(["form"], { type: "text/plain" }));
data(await docs.upload(`${folder}/form`, form));
for (const kind of ["blob", "buffer", "form"]) {
  check(await data(await docs.download(`${folder}/${kind}`)).text(), kind);
}

// Refusals.
const again = await docs.upload(key, "again");
check([again.error.message, again.error.statusCode], ["The resource already exists", "409"]);
const foreign = await docs.upload(`${OTHER}/x`, "x");
check([foreign.error.message, foreign.error.statusCode], ["new row violates row-level security policy", "403"]);
check((await anon.storage.from("docs").download(key)).data, null);

// Info, exists, list.
const info = data(await docs.info(key));
check([info.size, info.contentType, info.cacheControl, info.metadata], [5, "text/plain", "max-age=60", { a: 1 }]);
check((await docs.exists(key)).data, true);
check((await docs.exists(`${folder}/missing`)).data, false);
check(data(await docs.list(folder)).map((entry) => entry.name).sort(), ["a b.txt", "blob", "buffer", "form"]);

// Signed URLs.
const signed = data(await docs.createSignedUrl(key, 60));
check(await (await fetch(signed.signedUrl)).text(), "hello");
const several = data(await docs.createSignedUrls([key, "none"], 60));
check(several.map((item) => item.error === null), [true, false]);
const upload = data(await docs.createSignedUploadUrl(`${folder}/signed`));
data(await anon.storage.from("docs").uploadToSignedUrl(`${folder}/signed`, upload.token, "signed"));
check(await data(await docs.download(`${folder}/signed`)).text(), "signed");

// Without a DELETE policy nothing goes, silently; the service key may.
check(data(await docs.remove([key])), []);
const admin = service.storage.from("docs");
check(data(await admin.move(key, `${folder}/moved`)).message, "Successfully moved");
check(data(await admin.copy(`${folder}/moved`, `${folder}/copied`)).path, `docs/${folder}/copied`);
check(data(await admin.remove([`${folder}/moved`, `${folder}/copied`])).length, 2);

// Buckets.
data(await service.storage.createBucket("from-js", { public: true, fileSizeLimit: "1MB" }));
check(data(await service.storage.getBucket("from-js")).file_size_limit, 1000000);
data(await service.storage.emptyBucket("from-js"));
data(await service.storage.deleteBucket("from-js"));

process.stdout.write(JSON.stringify({ checks }));
