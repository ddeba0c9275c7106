-- What was before: the history of a Git repository, commit by commit, below what is written here.
--
--   prepare_import   whether the caller may, where the history ends, what is there already; before any bytes travel
--   import_changes   a batch of commits in one transaction, each a change
--   read_import      where an import stands, list_imports which commits are there
--
-- A commit becomes one change, in the order in which they come; after it the project's tree is the commit's. What
-- Git knows of a commit is kept as Git had it, byte for byte: author, committer, dates, parents, signature.
-- An owner's word is needed, because what comes in speaks for people who are not here.
--
-- A commit is an object:
--   origin         the raw commit object in base64, headers and message, at most 1 MiB
--   origin_id      its object id: 40 or 64 lower-case hexadecimal digits
--   author_name, author_email  as the commit says, decoded; may be left out
--   attributed_to  the handle or id of the member whom an owner's mapping says that it is; may be left out
--   message        decoded, at most 65,536 bytes
--   authored_at, committed_at  RFC 3339
--   items          what differs from the tree of the commit before it in this order; [] when nothing does
--
-- Its items are those of commit_change (migration 0900) without bases, because the lock implies them:
--   {path, sha256, size, media_type, mode, md5, copy, proven}  content; without md5 it is content that the project has
--   {from, path, …content or mode}                             a document moves
--   {path, mode}                                               another mode
--   {path, delete: true}
--   {path, from?, take: <commit>}        what this path had after that commit comes back
--   {path, …content, merge: <commit>}    content that takes in what this path had after that commit
--   {path, …content, onto: <commit>}     content of the document that this path was after that commit
--   {path, …content, fresh: true}        content of a new document, whatever is or was at this path
-- With `of`, take, merge and onto mean another path of that commit: where the document was there.
-- A commit that take, merge or onto names comes before this one, in the batch or the project.

create function private.base64_or_null(value text)
returns bytea
language plpgsql immutable
set search_path = ''
as $$
begin
  return decode(value, 'base64');
exception when invalid_parameter_value then
  return null;
end
$$;
comment on function private.base64_or_null is 'The bytes of a base64 text, or null when it is none.';

-- What can't be a commit at all, whatever the project holds.
create function private.import_problem(entry jsonb)
returns text
language plpgsql immutable
set search_path = ''
as $$
declare
  wrong text;
  item jsonb;
begin
  if jsonb_typeof(entry) <> 'object' then
    return 'A change of an import is an object.';
  end if;
  select k into wrong from unnest(array['origin', 'origin_id', 'message', 'authored_at', 'committed_at']) k
  where jsonb_typeof(entry -> k) is distinct from 'string' limit 1;
  if wrong is not null then
    return format('A change of an import says its %s: a string.', wrong);
  end if;
  select k into wrong from unnest(array['author_name', 'author_email', 'attributed_to']) k
  where jsonb_typeof(entry -> k) not in ('string', 'null') limit 1;
  if wrong is not null then
    return format('The %s of an imported change is a string or null.', wrong);
  end if;
  if coalesce(jsonb_typeof(entry -> 'items'), 'null') <> 'array' then
    return 'A change of an import has items: an array, empty when nothing differs.';
  end if;
  wrong := case
    when entry ->> 'origin_id' !~ '^([0-9a-f]{40}|[0-9a-f]{64})$' then 'An origin_id is 40 or 64 lower-case hexadecimal digits.'
    when octet_length(entry ->> 'message') > 65536 then 'The message of an imported change has at most 65,536 bytes; its origin holds all of it.'
    when private.moment_or_null(entry ->> 'authored_at') is null or private.moment_or_null(entry ->> 'authored_at') not between '1900-01-01' and '9999-01-01'
      or private.moment_or_null(entry ->> 'committed_at') is null or private.moment_or_null(entry ->> 'committed_at') not between '1900-01-01' and '9999-01-01'
      then 'The times of an imported change are RFC 3339, from 1900 to 9998.'
    when entry ->> 'author_name' ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]' or octet_length(entry ->> 'author_name') not between 1 and 1000
      or entry ->> 'author_email' ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]' or octet_length(entry ->> 'author_email') not between 1 and 1000
      then 'An author_name and an author_email are one line of 1 to 1000 bytes, or null.'
  end;
  if wrong is not null then
    return wrong;
  end if;
  for item in select value from jsonb_array_elements(entry -> 'items') loop
    if jsonb_typeof(item) <> 'object' then
      return 'An item is an object.';
    end if;
    select k into wrong from jsonb_object_keys(item) k
    where k <> all (array['path', 'from', 'sha256', 'size', 'media_type', 'mode', 'md5', 'copy', 'proven', 'delete', 'take', 'merge', 'of', 'onto', 'fresh']) limit 1;
    if wrong is not null then
      return format('An item of an import has no %s.', wrong);
    end if;
    wrong := case
      when jsonb_typeof(item -> 'path') is distinct from 'string' then 'An item of an import names a path.'
      when item ? 'of' and (jsonb_typeof(item -> 'of') <> 'string' or not item ?| array['take', 'merge', 'onto']) then 'An item takes or merges what another path had (of): a string.'
      when item ? 'take' and (item ? 'sha256' or item ? 'delete' or item ? 'merge') then 'An item takes, merges or deletes: one of them.'
      when item ->> 'take' !~ '^([0-9a-f]{40}|[0-9a-f]{64})$' or item ->> 'merge' !~ '^([0-9a-f]{40}|[0-9a-f]{64})$'
        or item ->> 'onto' !~ '^([0-9a-f]{40}|[0-9a-f]{64})$'
        then 'An item takes from or merges a commit by its id: 40 or 64 lower-case hexadecimal digits.'
      when item ? 'fresh' and jsonb_typeof(item -> 'fresh') <> 'boolean' then 'An item''s fresh is true or false.'
      when (item ? 'onto' or item -> 'fresh' = 'true') and not item ? 'sha256'
        or item -> 'fresh' = 'true' and item ?| array['onto', 'from'] then 'An item is onto an old document, or of a fresh one, with content.'
    end;
    if wrong is not null then
      return wrong;
    end if;
  end loop;
  return null;
end
$$;
comment on function private.import_problem is 'Why a commit of an import is refused whatever the project holds, or null.';

-- The version that a path had after a commit.
create function private.version_after(project uuid, path text, commit text)
returns public.versions
language plpgsql stable
set search_path = ''
as $$
declare
  upto bigint;
  found_version public.versions;
begin
  select c.sequence into upto from public.changes c where c.project_id = project and c.origin_id = commit;
  select v.* into found_version from (
    select t.version from public.tree_entries t
    where t.project_id = project and t.path = version_after.path and t.sequence <= upto
    order by t.sequence desc limit 1) t
  join public.versions v on v.hash = t.version;
  return found_version;
end
$$;
comment on function private.version_after is 'The version that a path had after the change of a Git commit; null where it had none, or the commit is not there.';

-- What take, merge and onto come to, as items of commit_change. What a path had comes back in the document that it
-- was, wherever that is now, unless another item of the change needs that document, or another document stays
-- at the path: then its content is written. The tree is the same either way.
create function private.import_items(project uuid, items jsonb, imported text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  written jsonb[] := '{}';
  problems jsonb[] := '{}';
  item jsonb;
  i integer := 0;
  v public.versions;
  was public.documents;
  leaving text[];
  deleted text[];
  used uuid[] := '{}';
  dropped text[] := '{}';
begin
  if not jsonb_path_exists(items, '$[*] ? (exists(@.take) || exists(@.merge) || exists(@.onto))') then
    return items;
  end if;
  select coalesce(array_agg(e.value ->> 'from') filter (where e.value ? 'from'), '{}'),
         coalesce(array_agg(e.value ->> 'path') filter (where e.value -> 'delete' = 'true'), '{}')
  into leaving, deleted from jsonb_array_elements(items) e (value);

  for item in select value from jsonb_array_elements(items) loop
    i := i + 1;
    if not item ?| array['take', 'merge', 'onto'] then
      written := written || item;
      continue;
    end if;
    v := private.version_after(project, coalesce(item ->> 'of', item ->> 'path'), coalesce(item ->> 'take', item ->> 'onto', item ->> 'merge'));
    if item ? 'merge' then
      item := item - 'merge' || jsonb_strip_nulls(jsonb_build_object('merged_from',
        (private.version_after(project, coalesce(item ->> 'of', item ->> 'path'), item ->> 'merge')).hash));
    end if;
    if not item ?| array['take', 'onto'] then
      written := written || (item - 'of');
      continue;
    elsif v.hash is null then
      problems := problems || private.problem(i, 422, 'bad_item', 'That path had nothing after that commit, or the commit is not imported.',
        jsonb_build_object('path', item ->> 'path', 'take', coalesce(item ->> 'take', item ->> 'onto')));
      continue;
    end if;
    select * into was from public.documents d where d.id = v.document_id;
    if was.id <> all (used)
      and (case when item ? 'from' then was.live and was.path = item ->> 'from'
               when not was.live then true
               when was.path = item ->> 'path' then was.path <> all (leaving)  -- else it is the move's
               else was.path = any (deleted) end)
      and (item ->> 'path' = any (leaving || deleted) or not exists (
        select from public.documents d
        where d.project_id = project and d.path = item ->> 'path' and d.live and d.id <> was.id))
    then
      used := used || was.id;
      if not item ? 'from' and was.live and was.path = any (deleted) then
        dropped := dropped || was.path::text;  -- it isn't deleted there: it comes back from there
      end if;
      written := written || (item - 'take' - 'onto' - 'of' - 'from' || jsonb_build_object('document', was.id)
        || case when item ? 'take' then jsonb_build_object('restore', v.number) else '{}' end);
    elsif item ? 'onto' then
      written := written || (item - 'onto' - 'of');
    else
      written := written || (jsonb_build_object('mode', coalesce(v.mode, '100644')) || (item - 'take' - 'of')
        || jsonb_build_object('sha256', v.sha256, 'size', v.size, 'media_type', v.media_type));
    end if;
  end loop;
  if problems <> '{}' then
    perform private.refuse(problems, imported);
  end if;
  return (select coalesce(jsonb_agg(u.item order by u.n), '[]') from unnest(written) with ordinality u (item, n)
          where not (u.item -> 'delete' is not distinct from 'true' and u.item ->> 'path' = any (dropped)));
end
$$;
comment on function private.import_items is 'The items of an imported commit as those of commit_change.';

-- Nothing may be imported on top of what was written here: the imported history would no longer be below it.
create function private.check_import_head(newest public.changes, after text)
returns void
language plpgsql stable
set search_path = ''
as $$
begin
  if newest.sequence is not null and newest.origin_id is null then
    perform private.fail(409, 'import_diverged',
      'The project was written to after the import, so nothing more is imported into it. Write what is new as ordinary changes, or import into another project.',
      jsonb_build_object('head', newest.hash, 'change', newest.sequence));
  elsif newest.hash::text is distinct from after then
    perform private.fail(409, 'import_stale',
      'The import is not where you last saw it: somebody else imports, too. Ask where it is (GET …/imports/git) and go on from there.',
      jsonb_build_object('head', newest.hash, 'change', newest.sequence, 'origin_id', newest.origin_id, 'after', after));
  end if;
end
$$;
comment on function private.check_import_head is 'Refuses an import that does not go on from the newest change.';

create function private.import_changes(project uuid, after text, changes jsonb)
returns jsonb
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.projects;
  made jsonb[] := '{}';
  entry jsonb;
  n bigint;
  why text;
  raw bytea;
  asked text;
  newest public.changes;
  prior public.changes;
  last public.changes;
  c public.changes;
  is_new boolean := false;
  planned private.planned_version[];
begin
  if coalesce(jsonb_typeof(changes), 'null') <> 'array' or jsonb_array_length(changes) not between 1 and 200
    or (select sum(jsonb_array_length(e.value -> 'items')) from jsonb_array_elements(changes) e (value)
        where jsonb_typeof(e.value -> 'items') = 'array') > 10000 then
    perform private.fail(422, 'bad_import', 'An import takes 1 to 200 changes at a time, of at most 10,000 items together.');
  end if;
  held := private.lock_project(project, 'owner');
  select x.* into newest from public.changes x where x.project_id = project and x.sequence = held.change_sequence;

  for entry, n in select e.value, e.ordinality from jsonb_array_elements(changes) with ordinality e loop
    why := private.import_problem(entry);
    if why is null then
      raw := private.base64_or_null(entry ->> 'origin');
      why := case when raw is null or octet_length(raw) not between 1 and 1048576 then 'An origin is a Git commit object in base64, of at most 1 MiB.'
                  when length(entry ->> 'origin_id') = 64 and entry ->> 'origin_id' <> encode(
                    sha256(convert_to('commit ' || octet_length(raw), 'UTF8') || '\x00' || raw), 'hex') then 'The origin is not the commit of that origin_id.' end;
    end if;
    if why is not null then
      perform private.fail(422, 'bad_import', why, jsonb_build_object('index', n, 'origin_id', entry -> 'origin_id'));
    end if;
    asked := private.hash_of((entry || jsonb_build_object('items', private.asked_items(entry -> 'items')))::text);

    -- What is there already, at the batch's beginning: its answer was lost, or another process was faster.
    select x.* into prior from public.changes x where x.project_id = project and x.origin_id = entry ->> 'origin_id';
    if prior.sequence is not null then
      if is_new or prior.request_hash <> asked or last.sequence is not null and prior.sequence <> last.sequence + 1 then
        perform private.fail(409, 'import_conflict',
          'This commit is in the project already, with other content or at another place. Import with the same choices as before, or into another project.',
          jsonb_build_object('origin_id', prior.origin_id, 'change', prior.sequence));
      end if;
      last := prior;
      made := made || private.import_answer(last);
      continue;
    end if;
    if not is_new then
      perform private.check_import_head(newest, case when n = 1 then after else last.hash end);
      is_new := true;
      last := newest;
    end if;

    planned := private.claim_blobs(project, private.plan_change(
      project, private.import_items(project, entry -> 'items', entry ->> 'origin_id'), entry ->> 'origin_id'), entry ->> 'origin_id');
    planned := array(select u from unnest(planned) u where not u.unchanged order by u.position);
    c := null;
    c.project_id := project;
    c.message := entry ->> 'message';
    c.author_id := auth.uid();
    c.actor := 'import';
    c.authored_at := private.moment_or_null(entry ->> 'authored_at');
    -- Git's clocks are many and wrong at times; a project has one time, and it never goes back.
    c.committed_at := greatest(last.committed_at, least(private.moment_or_null(entry ->> 'committed_at'), clock_timestamp()));
    c.source := 'git';
    c.request_hash := asked;
    c.author_name := entry ->> 'author_name';
    c.author_email := entry ->> 'author_email';
    c.attributed_to := private.attributed_to(project, entry ->> 'attributed_to');
    c.origin := raw;
    c.origin_id := entry ->> 'origin_id';
    last := private.write_change(c, planned);
    made := made || private.import_answer(last);
  end loop;
  return jsonb_build_object('changes', to_jsonb(made));
end
$$;
comment on function private.import_changes is 'Writes commits under the project''s lock; owners.';
grant execute on function private.import_changes to authenticated;

create function private.import_answer(c public.changes)
returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_build_object('sequence', c.sequence, 'hash', c.hash, 'origin_id', c.origin_id, 'version_count', c.version_count)
$$;
comment on function private.import_answer is 'What an importer is told of a change.';

-- Only whoever is or was a member: an owner can't put words into a stranger's mouth.
create function private.attributed_to(project uuid, person text)
returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
  found_id uuid;
begin
  if person is null then
    return null;
  end if;
  select p.id into found_id from public.profiles p join public.acquaintances a on a.user_id = p.id and a.project_id = project
  where p.handle = lower(person) or p.id = private.uuid_or_null(lower(person));
  if found_id is null then
    perform private.fail(404, 'member_not_found', 'Nobody of that handle or id is or was a member of this project.',
      jsonb_build_object('attributed_to', person));
  end if;
  return found_id;
end
$$;
comment on function private.attributed_to is 'The account of somebody who is or was a member of a project.';

create function public.import_changes(project text, after text, changes jsonb)
returns jsonb
language sql
set search_path = ''
set statement_timeout = '60s'
as $$ select private.import_changes(private.project_id(project), after, changes) $$;
comment on function public.import_changes is
  'Writes 1 to 200 Git commits as changes, in one transaction; after is the hash of the newest change that the importer saw, null in an empty project. {changes: [{sequence, hash, origin_id, version_count}]}. A batch, or the beginning of one, that is there already is answered as it was.';
revoke execute on function public.import_changes from public, anon, service_role;
grant execute on function public.import_changes to authenticated;

-- Before any bytes travel.
create function private.prepare_import(project uuid, after text, origin_ids text[], contents text[])
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
  newest public.changes;
  known bigint;
begin
  perform private.require_role(project, 'owner');
  perform private.refuse_archived(p.archived_at) from public.projects p where p.id = project;
  if coalesce(array_length(origin_ids, 1), 0) not between 1 and 200 or coalesce(array_length(contents, 1), 0) > 10000 then
    perform private.fail(422, 'bad_import', 'An import takes 1 to 200 changes at a time, of at most 10,000 items together.');
  end if;
  select x.* into newest from public.changes x join public.projects p on p.id = x.project_id and p.change_sequence = x.sequence
  where x.project_id = project;
  select count(*) into known from public.changes x where x.project_id = project and x.origin_id = any (origin_ids);
  if known = 0 then
    perform private.check_import_head(newest, after);
  end if;
  return jsonb_build_object('project', project, 'known', known, 'contents', (
    select coalesce(jsonb_agg(jsonb_build_object('sha256', w.sha256, 'copies', public.list_copies(project, w.sha256, null))), '[]')
    from (select distinct u.sha256 from unnest(contents) u (sha256)) w));
end
$$;
comment on function private.prepare_import is 'Checks an import before its bytes travel; owners.';
grant execute on function private.prepare_import to authenticated;

create function public.prepare_import(project text, after text, origin_ids text[], contents text[])
returns jsonb
language sql stable
set search_path = ''
as $$ select private.prepare_import(private.project_id(project), after, origin_ids, contents) $$;
comment on function public.prepare_import is
  'Checks an import before its bytes travel: {project, known, contents: [{sha256, copies: [{object, name, size}]}]}; known is how many of the commits are there already.';
revoke execute on function public.prepare_import from public, anon, service_role;
grant execute on function public.prepare_import to authenticated;

-- Where an import stands. What is imported lies below everything else, so its count is its last number.
create function public.read_import(project text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (
    select jsonb_build_object('after', p.change_hash, 'last', l.origin_id, 'count', coalesce(l.sequence, 0),
                              'diverged', p.change_sequence > coalesce(l.sequence, 0))
    from public.projects p
    left join lateral (
      select c.sequence, c.origin_id from public.changes c
      where c.project_id = target and c.origin_id is not null order by c.sequence desc limit 1) l on true
    where p.id = target);
end
$$;
comment on function public.read_import is
  '{after, last, count, diverged}: the newest change''s hash, the last imported commit and how many there are, and whether something was written after it.';
revoke execute on function public.read_import from public, anon, service_role;
grant execute on function public.read_import to authenticated;

create function public.list_imports(project text, after bigint default 0, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  above bigint := coalesce(after, 0);
begin
  return (select coalesce(jsonb_agg(jsonb_build_object('sequence', c.sequence, 'origin_id', c.origin_id) order by c.sequence), '[]') from (
    select x.sequence, x.origin_id from public.changes x
    where x.project_id = target and x.origin_id is not null and x.sequence > above
    order by x.sequence limit private.page_rows(page_size)) c);
end
$$;
comment on function public.list_imports is '[{sequence, origin_id}]: the imported commits in their order; after is the last sequence seen.';
revoke execute on function public.list_imports from public, anon, service_role;
grant execute on function public.list_imports to authenticated;

revoke execute on all functions in schema private from public;
