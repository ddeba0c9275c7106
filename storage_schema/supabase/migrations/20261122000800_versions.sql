-- History itself: changes and their versions, hashed and chained by triggers, so that no function and
-- no role can write a row whose number, parent or hash is not what it must be.

create table public.changes (
  project_id uuid not null references public.projects,
  sequence bigint not null constraint changes_sequence_positive check (sequence > 0),
  message text not null default ''
    constraint changes_message_length check (octet_length(message) <= 65536),
  author_id uuid not null references public.profiles,
  actor public.actor_kind not null,
  agent text
    constraint changes_agent_form check (char_length(agent) between 1 and 100 and agent !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  -- For whom an agent acted then (migration 2100): the database says so, never the agent.
  on_behalf_of uuid references public.profiles,
  authored_at timestamptz not null,
  committed_at timestamptz not null,
  source text not null default 'api' constraint changes_source_form check (source ~ '^[a-z0-9-]{1,32}$'),
  version_count integer not null,
  idempotency_key text
    constraint changes_idempotency_key_length check (char_length(idempotency_key) between 1 and 255),
  request_hash public.sha256_hex not null,
  -- The name that the author went by then: an account may be renamed, what history says of it may not.
  author_name text
    constraint changes_author_name_form check (octet_length(author_name) between 1 and 1000 and author_name !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  -- What came from elsewhere (migration 1700): a Git commit, whole, and who it says wrote it.
  author_email text
    constraint changes_author_email_form check (octet_length(author_email) between 1 and 1000 and author_email !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  attributed_to uuid references public.profiles,
  origin bytea constraint changes_origin_size check (octet_length(origin) <= 1048576),
  origin_id text constraint changes_origin_id_form check (origin_id ~ '^([0-9a-f]{40}|[0-9a-f]{64})$'),
  -- Beside the object itself, so that the chain verifies without it.
  origin_sha256 public.sha256_hex,
  origin_size integer,
  imported_at timestamptz,
  previous public.sha256_hex,
  hash public.sha256_hex not null,
  primary key (project_id, sequence),
  -- A commit may be empty, or lie outside of what was imported.
  constraint changes_version_count_positive check (version_count > 0 or version_count = 0 and origin_id is not null),
  constraint changes_origin_rule check (
    num_nonnulls(origin, origin_id, origin_sha256, origin_size, imported_at) in (0, 5)
      and (origin_id is not null) = (actor = 'import')
      and (origin_id is not null or num_nonnulls(author_email, attributed_to) = 0)),
  constraint changes_agent_named check ((actor = 'agent') = (agent is not null)),
  constraint changes_on_behalf_rule check (on_behalf_of is null or actor = 'agent' and on_behalf_of <> author_id),
  constraint changes_previous_rule check ((sequence = 1) = (previous is null)),
  constraint changes_dates check (authored_at between '1900-01-01' and '9999-01-01')
);
create unique index changes_idempotency_key on public.changes (project_id, author_id, idempotency_key)
  where idempotency_key is not null;
create index changes_author_idx on public.changes (author_id, project_id, sequence desc);
create unique index changes_hash_key on public.changes (hash);
create unique index changes_origin_key on public.changes (project_id, origin_id) where origin_id is not null;
-- The newest imported change is found without a walk over what was written after it.
create index changes_imported_idx on public.changes (project_id, sequence) where origin_id is not null;
create index changes_on_behalf_of_idx on public.changes (on_behalf_of) where on_behalf_of is not null;
create index changes_attributed_to_idx on public.changes (attributed_to) where attributed_to is not null;
-- Times never go back in a project, so a time is a bound on numbers.
create index changes_time_idx on public.changes (project_id, committed_at, sequence);
alter table public.changes enable row level security;

comment on table public.changes is 'One atomic write of one or more versions, or an imported commit, which may have none. Never changes.';
comment on column public.changes.project_id is 'The project.';
comment on column public.changes.sequence is 'Its number in the project, from 1, without gaps.';
comment on column public.changes.message is 'Why, at most 65,536 bytes.';
comment on column public.changes.author_id is 'The account that made it, or imported it.';
comment on column public.changes.actor is 'A person, an agent, or an import.';
comment on column public.changes.agent is 'The agent''s name, when an agent made it.';
comment on column public.changes.on_behalf_of is 'The owner for whom an agent acted; null for everybody else, and for agents that no owner registered.';
comment on column public.changes.authored_at is 'When the author says it was made.';
comment on column public.changes.committed_at is 'When it was accepted; of an imported one, when its origin says. Never before the change before it.';
comment on column public.changes.source is 'What sent it: api, cli, git, …';
comment on column public.changes.version_count is 'How many versions it holds.';
comment on column public.changes.idempotency_key is 'The key under which a repeated request gives the same answer.';
comment on column public.changes.request_hash is 'Hash of what was asked, to tell a repeat from another request with the same key.';
comment on column public.changes.author_name is 'The author''s name at that time: of the account, or of an imported change''s author.';
comment on column public.changes.author_email is 'The address of an imported change''s author.';
comment on column public.changes.attributed_to is 'The account that an imported change''s author is, by an owner''s word.';
comment on column public.changes.origin is 'The Git commit object that it came from, as it was: headers and message, at most 1 MiB.';
comment on column public.changes.origin_id is 'The object id of that commit: 40 or 64 hexadecimal digits.';
comment on column public.changes.origin_sha256 is 'SHA-256 of the commit object, computed here.';
comment on column public.changes.origin_size is 'Bytes of the commit object.';
comment on column public.changes.imported_at is 'When it was imported, by this database''s clock.';
comment on column public.changes.previous is 'Hash of the change before it; null in the first.';
comment on column public.changes.hash is 'SHA-256 of its canonical form (docs/hashes.md), its versions'' hashes included.';

create table public.versions (
  hash public.sha256_hex primary key,
  project_id uuid not null,
  document_id uuid not null references public.documents,
  number integer not null constraint versions_number_positive check (number > 0),
  change_sequence bigint not null,
  position integer not null constraint versions_position_positive check (position > 0),
  -- Unique: a version has at most one successor, so a document's history cannot fork.
  parent public.sha256_hex constraint versions_parent_key unique references public.versions,
  merged_from public.sha256_hex references public.versions,
  restored_from public.sha256_hex references public.versions,
  action public.version_action not null,
  path public.document_path not null,
  sha256 public.sha256_hex,
  size bigint constraint versions_size_positive check (size >= 0),
  -- The object that was proven to hold the bytes when this was written; other copies may come and go beside it.
  object_id uuid constraint versions_object_fkey references public.blobs,
  media_type text
    constraint versions_media_type_form check (
      char_length(media_type) <= 200 and media_type ~ '^[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+( *; *[a-z0-9_.+-]+=[A-Za-z0-9_.+-]+)*$'),
  -- Git's file mode, where it isn't that of an ordinary file: executable, symbolic link, submodule.
  mode text constraint versions_mode_known check (mode in ('100755', '120000', '160000')),
  constraint versions_number_key unique (document_id, number),
  constraint versions_change_fkey foreign key (project_id, change_sequence)
    references public.changes (project_id, sequence) deferrable initially deferred,
  constraint versions_position_key unique (project_id, change_sequence, position),
  constraint versions_parent_rule check ((number = 1) = (parent is null)),
  constraint versions_content_rule check (
    (action = 'delete') = (sha256 is null) and (sha256 is null) = (size is null)
      and (sha256 is null) = (media_type is null) and (sha256 is null) = (object_id is null)
      and (sha256 is not null or mode is null)),
  constraint versions_restore_rule check ((action = 'restore') = (restored_from is not null))
);
create index versions_object_idx on public.versions (object_id);
create index versions_merged_from_idx on public.versions (merged_from) where merged_from is not null;
create index versions_restored_from_idx on public.versions (restored_from) where restored_from is not null;
create index versions_document_change_idx on public.versions (document_id, change_sequence desc);
alter table public.versions enable row level security;

comment on table public.versions is 'One immutable state of one document.';
comment on column public.versions.hash is 'SHA-256 of its canonical form (docs/hashes.md): its identity and its ETag.';
comment on column public.versions.project_id is 'The project.';
comment on column public.versions.document_id is 'The document.';
comment on column public.versions.number is 'Its number in the document, from 1, without gaps.';
comment on column public.versions.change_sequence is 'The change it is part of.';
comment on column public.versions.position is 'Its place in the change, from 1.';
comment on column public.versions.parent is 'Hash of the version before it; null in the first.';
comment on column public.versions.merged_from is 'Hash of the other version that a merge took in.';
comment on column public.versions.restored_from is 'Hash of the version whose content it brought back.';
comment on column public.versions.action is 'What made it.';
comment on column public.versions.path is 'Where the document was, in this version.';
comment on column public.versions.sha256 is 'SHA-256 of the bytes; null in a delete.';
comment on column public.versions.size is 'Bytes; null in a delete.';
comment on column public.versions.object_id is 'The stored object that holds the bytes; null in a delete. Not part of the hash.';
comment on column public.versions.media_type is 'What kind of content; null in a delete.';
comment on column public.versions.mode is
  '100755 executable; 120000 a symbolic link, whose content is its target; 160000 a submodule, whose content is its commit''s id. Null: an ordinary file.';

-- What path had what at a change: append-only, so that the tree at any point is one index walk.
-- Made from `versions` and nothing else; a row without a version says that the path became free.
create table public.tree_entries (
  project_id uuid not null references public.projects,
  path public.document_path not null,
  sequence bigint not null,
  document_id uuid not null references public.documents,
  version public.sha256_hex references public.versions,
  primary key (project_id, path, sequence)
);
create index tree_entries_document_idx on public.tree_entries (document_id);
create index tree_entries_version_idx on public.tree_entries (version);
alter table public.tree_entries enable row level security;

comment on table public.tree_entries is 'What each path held from a change on.';
comment on column public.tree_entries.project_id is 'The project.';
comment on column public.tree_entries.path is 'The path.';
comment on column public.tree_entries.sequence is 'From this change on.';
comment on column public.tree_entries.document_id is 'The document that came to be here, or left.';
comment on column public.tree_entries.version is 'The version that is here; null when the path became free.';

create policy "members read the changes of their projects" on public.changes
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read the versions of their projects" on public.versions
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read the trees of their projects" on public.tree_entries
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.changes, public.versions, public.tree_entries from anon, authenticated, service_role;
grant select on public.changes, public.versions, public.tree_entries to authenticated, service_role;

create trigger changes_are_history before update or delete on public.changes
  for each row execute function private.refuse_rewrite();
create trigger changes_are_kept before truncate on public.changes
  for each statement execute function private.refuse_rewrite();
create trigger versions_are_history before update or delete on public.versions
  for each row execute function private.refuse_rewrite();
create trigger versions_are_kept before truncate on public.versions
  for each statement execute function private.refuse_rewrite();
create trigger tree_entries_are_history before update or delete on public.tree_entries
  for each row execute function private.refuse_rewrite();
create trigger tree_entries_are_kept before truncate on public.tree_entries
  for each statement execute function private.refuse_rewrite();

-- Hashes ----------------------------------------------------------------------------------------
-- One line a field, in this order, absent fields left out; the last line of a change's head is its
-- message, preceded by its length, so that no message can look like fields. docs/hashes.md tells it in
-- words, app/model/hashes.py in Python, fixtures/hashes in numbers.

-- In plpgsql, because a SQL function is planned again at each call before PostgreSQL 18.
create function private.version_canonical(v public.versions)
returns text
language plpgsql immutable
set search_path = ''
as $$
begin
  return 'verso-version 1' || E'\n'
    || 'project ' || v.project_id || E'\n'
    || 'document ' || v.document_id || E'\n'
    || 'number ' || v.number || E'\n'
    || coalesce('parent ' || v.parent || E'\n', '')
    || coalesce('merged-from ' || v.merged_from || E'\n', '')
    || coalesce('restored-from ' || v.restored_from || E'\n', '')
    || 'action ' || v.action || E'\n'
    || 'path ' || v.path || E'\n'
    || coalesce('content ' || v.sha256 || ' ' || v.size || E'\n', '')
    || coalesce('media-type ' || v.media_type || E'\n', '')
    || coalesce('mode ' || v.mode || E'\n', '');
end
$$;
comment on function private.version_canonical is 'The canonical form of a version, which its hash is of.';

create function private.canonical_time(moment timestamptz)
returns text
language sql stable
set search_path = ''
as $$ select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
comment on function private.canonical_time is 'RFC 3339 in UTC with six decimals.';

create function private.change_canonical(c public.changes, versions text[])
returns text
language sql stable
set search_path = ''
as $$
  select 'verso-change 1' || E'\n'
    || 'project ' || c.project_id || E'\n'
    || 'sequence ' || c.sequence || E'\n'
    || coalesce('previous ' || c.previous || E'\n', '')
    || 'author ' || c.author_id || E'\n'
    || 'actor ' || c.actor || E'\n'
    || coalesce('agent ' || c.agent || E'\n', '')
    || coalesce('on-behalf-of ' || c.on_behalf_of || E'\n', '')
    || 'authored-at ' || private.canonical_time(c.authored_at) || E'\n'
    || 'committed-at ' || private.canonical_time(c.committed_at) || E'\n'
    || 'source ' || c.source || E'\n'
    || coalesce('author-name ' || c.author_name || E'\n', '')
    || coalesce('author-email ' || c.author_email || E'\n', '')
    || coalesce('attributed-to ' || c.attributed_to || E'\n', '')
    || coalesce('imported-at ' || private.canonical_time(c.imported_at) || E'\n', '')
    || coalesce('origin ' || c.origin_id || ' ' || c.origin_sha256 || ' ' || c.origin_size || E'\n', '')
    || 'message ' || octet_length(c.message) || E'\n' || c.message || E'\n'
    || array_to_string(array(select 'version ' || v || E'\n' from unnest(versions) with ordinality u(v, n) order by n), '')
$$;
comment on function private.change_canonical is 'The canonical form of a change, which its hash is of.';

create function private.hash_of(canonical text)
returns public.sha256_hex
language plpgsql immutable
set search_path = ''
as $$
begin
  return encode(sha256(convert_to(canonical, 'UTF8')), 'hex');
end
$$;
comment on function private.hash_of is 'SHA-256 of a canonical form.';

-- Number and parent are unique, so a version whose parent has the number before its own is the newest one.
create function private.chain_version()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if not exists (select from public.documents d where d.id = new.document_id and d.project_id = new.project_id)
    or exists (select from public.changes c where c.project_id = new.project_id and c.sequence = new.change_sequence)
    or new.parent is not null and not exists (
      select from public.versions v
      where v.hash = new.parent and v.document_id = new.document_id and v.number = new.number - 1)
    or (new.restored_from is not null or new.merged_from is not null) and exists (
      select from public.versions v where v.hash in (new.restored_from, new.merged_from) and v.document_id <> new.document_id)
    or new.object_id is not null and not exists (
      select from public.blobs b
      where b.object_id = new.object_id and b.project_id = new.project_id and b.sha256 = new.sha256 and b.size = new.size)
  then
    perform private.fail(409, 'broken_chain',
      'A version follows its document''s newest one, in a change that is not yet written, and its bytes are an object of its project.');
  end if;
  new.hash := private.hash_of(private.version_canonical(new));
  return new;
end
$$;
comment on function private.chain_version is 'Refuses a version that does not follow the newest one or has no bytes, and computes its hash.';
create trigger chain_version before insert on public.versions
  for each row execute function private.chain_version();

create function private.chain_change()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  project public.projects;
  newest public.changes;
  hashes text[];
begin
  select * into project from public.projects p where p.id = new.project_id;
  select * into newest from public.changes c where c.project_id = new.project_id and c.sequence = project.change_sequence;
  select array_agg(v.hash order by v.position) into hashes
  from public.versions v where v.project_id = new.project_id and v.change_sequence = new.sequence;
  -- What only the database can say. What is put back from a bundle says it already, and the hash covers it.
  if new.origin is null then
    new.author_name := coalesce(new.author_name, (select p.display_name from public.profiles p where p.id = new.author_id));
  else
    new.origin_sha256 := encode(sha256(new.origin), 'hex');
    new.origin_size := octet_length(new.origin);
    new.imported_at := coalesce(new.imported_at, clock_timestamp());
  end if;
  if new.sequence <> project.change_sequence + 1 or new.previous is distinct from project.change_hash::text
    or coalesce(array_length(hashes, 1), 0) <> new.version_count
    or newest.committed_at > new.committed_at
    -- What is imported lies below what is written here, and is never of a time to come.
    or new.origin is not null and (
      newest.sequence is not null and newest.origin_id is null
      or new.committed_at > greatest(new.imported_at, newest.committed_at)) then
    perform private.fail(409, 'broken_chain', 'A change follows its project''s newest one, in number, hash and time, and holds its versions.');
  end if;
  new.hash := private.hash_of(private.change_canonical(new, hashes));
  update public.projects p set change_sequence = new.sequence, change_hash = new.hash where p.id = new.project_id;
  return new;
end
$$;
comment on function private.chain_change is 'Refuses a change that does not follow the newest one, computes its hash, moves the project on.';
create trigger chain_change before insert on public.changes
  for each row execute function private.chain_change();

revoke execute on all functions in schema private from public;
