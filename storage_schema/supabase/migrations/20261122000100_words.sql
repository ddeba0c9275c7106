-- The words every other migration uses: the private schema, the value rules, the way to fail.
--
-- Whatever runs with its owner's rights lives in `private`, which PostgREST never exposes.
-- Whatever a caller may call lives in `public` and runs with the caller's rights.

create schema private;
comment on schema private is 'Functions that run with their owner''s rights. Never exposed over HTTP.';
revoke all on schema private from public;
grant usage on schema private to authenticated;

-- A project may hold more than Verso, so nobody's default privileges are changed here: each migration takes
-- back what the defaults gave away, by name, and a test compares the catalog with the list of what was meant.

create domain public.sha256_hex as text
  constraint sha256_hex_form check (value ~ '^[0-9a-f]{64}$');
comment on domain public.sha256_hex is 'A SHA-256 digest as 64 lower-case hexadecimal digits.';

create domain public.slug as text collate "C"
  constraint slug_form check (value ~ '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$')
  -- A project is addressed by its id or its slug: a slug that looks like an id would be ambiguous.
  constraint slug_is_no_id check (value !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');
comment on domain public.slug is 'A short name for URLs: 1 to 64 of a-z 0-9 . _ -, starting and ending with a letter or digit.';

-- The same rules, with their reasons, are in app/model/rules.py; tests hold the two together.
create domain public.document_path as text collate "C"
  constraint document_path_length check (octet_length(value) between 1 and 1024)
  constraint document_path_nfc check (value is nfc normalized)
  -- C0, DEL, C1, and the two Unicode line separators: a path is one line everywhere.
  constraint document_path_control check (value !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]')
  constraint document_path_segments check (
    value !~ '(^|/)(/|$)' and value !~ '(^|/)\.\.?(/|$)'
  );
comment on domain public.document_path is
  'A document''s path in its project: UTF-8 in NFC, at most 1024 bytes, segments divided by /, none of them empty, "." or "..", no control characters.';

create type public.member_role as enum ('reader', 'reviewer', 'editor', 'owner');
comment on type public.member_role is 'What a member may do; each role includes those before it.';

create type public.version_action as enum ('add', 'edit', 'move', 'delete', 'restore');
comment on type public.version_action is 'What made a version. A move may carry new content as well.';

create type public.actor_kind as enum ('human', 'agent', 'import');
comment on type public.actor_kind is 'Who acted: a person, an agent with an account of its own, or an import on their behalf.';

create type public.stage as enum ('intent', 'context', 'spec', 'plan', 'tasks', 'implementation', 'feedback');
comment on type public.stage is 'The seven stages of an IDSE session, in order.';

-- PostgREST turns SQLSTATE PTxyz into HTTP status xyz. The message is the machine's code
-- (docs/errors.md lists them all), the hint the person's sentence, the detail what a client needs next.
create function private.fail(status integer, code text, sentence text, detail jsonb default '{}')
returns void
language plpgsql
set search_path = ''
as $$
begin
  raise exception using
    errcode = 'PT' || status, message = code, hint = sentence, detail = detail::text;
end
$$;
comment on function private.fail is 'Raises an error that PostgREST answers with the given HTTP status.';
grant execute on function private.fail to authenticated;

create function private.uuid_or_null(value text)
returns uuid
language plpgsql immutable
set search_path = ''
as $$
begin
  return case when value ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then value::uuid end;
end
$$;
comment on function private.uuid_or_null is 'A well-formed id, or null: an id that cannot be is an id that is not there.';
grant execute on function private.uuid_or_null to authenticated;

-- The API asks for less. Whoever calls the functions themselves gets no more than PostgREST's max_rows.
create function private.page_rows(asked integer)
returns integer
language sql immutable
set search_path = ''
as $$ select least(greatest(coalesce(asked, 50), 1), 1000) $$;
comment on function private.page_rows is 'How many rows a page has: 1 to 1000, 50 unless said.';
grant execute on function private.page_rows to authenticated;

create function private.refuse_rewrite()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform private.fail(403, 'immutable',
    format('Rows of %I are history and never change. Write a new version instead.', tg_table_name));
  return null;
end
$$;
comment on function private.refuse_rewrite is
  'Refuses UPDATE, DELETE and TRUNCATE, for every role: the trigger of every table that holds history.';

create function public.schema_version()
returns text
language sql stable
set search_path = ''
as $$ select '20261122'::text $$;
comment on function public.schema_version is 'The version of this schema; the service and its doctor compare it with their own.';
revoke execute on function public.schema_version from public;
grant execute on function public.schema_version to anon, authenticated, service_role;

revoke execute on all functions in schema private from public;
