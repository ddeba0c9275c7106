-- The heart: one atomic change.
--
--   plan_change    what each item means against the heads now, or why it may not be
--   prepare_change the same, without a lock, before any bytes travel; and which blobs need no upload
--   commit_change  the same again under the project's lock, then write_change
--   write_change   rows, heads, tree and events; import_changes (migration 1700) writes through it, too
--
-- An item is an object. A key with null is a key that isn't there.
--   path      where the document shall be; may be left out when `document` is given
--   document  the id of an existing document
--   from      the path of an existing document, for a move
--   base      hash of the version that this write started from; null to create
--   create    true to say that nothing may be there yet: another sentence, not another rule
--   merged_from  hash of the document's other version that the new content takes in
--   delete    true to delete
--   restore   number of an earlier version whose content to bring back; "latest" for the newest that has any
--   sha256, size, media_type   new content; left out to keep the content (move)
--   mode      Git's file mode: 100755, 120000, 160000; 100644 for an ordinary file; left out to keep it
--   copy      the suffix of the object's name, when the plain name holds other bytes
--   md5       of the new content: compared with storage's own, when storage has one
--   proven    true when the writer has read the stored bytes back
--   pending   true in prepare_change, while the content has not arrived yet

create type private.planned_version as (
  position integer,
  document_id uuid,
  is_new boolean,
  was_live boolean,
  old_path text,
  parent text,
  number integer,
  action public.version_action,
  path text,
  sha256 text,
  size bigint,
  media_type text,
  mode text,
  object_id uuid,
  restored_from text,
  merged_from text,
  copy text,
  md5 text,
  proven boolean,
  unchanged boolean
);
comment on type private.planned_version is 'What an item of a change comes to: the version that it would write.';

create function private.head_json(d public.documents)
returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_build_object('document', d.id, 'path', d.path, 'head', d.head, 'number', d.head_number, 'live', d.live)
$$;
comment on function private.head_json is 'What a refused writer needs to know of a document''s head.';

-- The document that an item speaks of: by id, by the path it comes from, or by the path it goes to.
create function private.item_document(project uuid, item jsonb, departing uuid[])
returns public.documents
language plpgsql stable
set search_path = ''
as $$
declare
  d public.documents;
begin
  if item ? 'document' then
    select * into d from public.documents x where x.id = private.uuid_or_null(item ->> 'document') and x.project_id = project;
  elsif item ? 'from' then
    select * into d from public.documents x where x.project_id = project and x.path = item ->> 'from' and x.live;
  else
    select * into d from public.documents x
    where x.project_id = project and x.path = item ->> 'path' and x.live and x.id <> all (departing);
    if d.id is null then
      -- What was deleted here lives on in what is written here next: its history stays in one piece.
      select * into d from public.documents x
      where x.project_id = project and x.path = item ->> 'path' and not x.live and x.id <> all (departing)
      order by x.head_sequence desc limit 1;
    end if;
  end if;
  return d;
end
$$;
comment on function private.item_document is 'The document that an item speaks of, or null.';

create function private.problem(index integer, status integer, code text, sentence text, detail jsonb default '{}')
returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_build_object('index', index, 'status', status, 'code', code, 'sentence', sentence) || detail
$$;
comment on function private.problem is 'One item''s reason for refusal.';

-- Raises one error for all refused items: the first one's code, everyone's details. Of an import it says
-- in which commit they are.
create function private.refuse(problems jsonb[], imported text default null)
returns void
language plpgsql
set search_path = ''
as $$
declare
  first jsonb := problems[1];
begin
  perform private.fail((first ->> 'status')::integer, first ->> 'code', first ->> 'sentence',
    (first - 'status' - 'code' - 'sentence')
    || jsonb_build_object('items', (select jsonb_agg(p - 'status') from unnest(problems) p))
    || case when imported is null then '{}' else jsonb_build_object('origin_id', imported) end);
end
$$;
comment on function private.refuse is 'Raises the first problem, with all of them in its detail.';

create function private.path_problem(path text)
returns text
language plpgsql immutable
set search_path = ''
as $$
begin
  return case
    when path is null or path = '' then 'The path is empty.'
    when octet_length(path) > 1024 then 'The path is longer than 1024 bytes.'
    when path !~ '^/' and path ~ '(^|/)\.\.?(/|$)' then 'A path has no "." or ".." segment.'
    when path ~ '(^|/)(/|$)' then 'A path has no empty segment: no // and no / at either end.'
    when path ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]' then 'A path has no control characters.'
    when path is not nfc normalized then 'A path is in Unicode normalisation form C.'
  end;
end
$$;

-- What can't be an item at all. The API never sends such; whoever calls the function themselves gets a
-- sentence instead of a cast's error.
create function private.item_problem(item jsonb)
returns text
language plpgsql immutable
set search_path = ''
as $$
declare
  wrong text;
begin
  if jsonb_typeof(item) <> 'object' then
    return 'An item is an object.';
  end if;
  select k into wrong from unnest(array['path', 'document', 'from', 'base', 'merged_from', 'sha256', 'media_type', 'mode', 'copy', 'md5']) k
  where jsonb_typeof(item -> k) <> 'string' limit 1;
  if wrong is not null then
    return format('An item''s %s is a string.', wrong);
  end if;
  select k into wrong from unnest(array['create', 'delete', 'proven', 'pending']) k where jsonb_typeof(item -> k) <> 'boolean' limit 1;
  if wrong is not null then
    return format('An item''s %s is true or false.', wrong);
  end if;
  return case
    when item ->> 'restore' !~ '^([1-9][0-9]{0,8}|latest)$' then 'An item''s restore is the number of a version, or "latest".'
    when item ->> 'sha256' !~ '^[0-9a-f]{64}$' then 'An item''s sha256 is 64 lower-case hexadecimal digits.'
    when item ->> 'copy' !~ '^[0-9a-f]{32}$' then 'An item''s copy is 32 lower-case hexadecimal digits.'
    when item ->> 'mode' not in ('100644', '100755', '120000', '160000') then 'An item''s mode is 100644, 100755, 120000 or 160000.'
    when item ? 'sha256' and (jsonb_typeof(item -> 'size') is distinct from 'number' or item ->> 'size' !~ '^[0-9]{1,15}$')
      then 'An item with content says its size in bytes.'
    when item ? 'restore' and item ? 'sha256' or (item -> 'delete')::boolean and (item ? 'sha256' or item ? 'restore' or item ? 'mode')
      then 'An item writes, restores or deletes: one of them.'
  end;
end
$$;
comment on function private.item_problem is 'Why an item is refused whatever the project holds, or null.';
comment on function private.path_problem is 'Why a path is refused, or null.';

-- RFC 9110, 13.1.1: a stale write whose effect is there already may succeed. Only for the writer's own
-- last write, same base, same content, same path: a repeat after a lost answer, and nothing else.
create function private.already_applied(d public.documents, item jsonb)
returns boolean
language sql stable
set search_path = ''
as $$
  select exists (
    select from public.versions v join public.changes c on c.project_id = v.project_id and c.sequence = v.change_sequence
    where v.hash = d.head and v.action = 'edit' and v.parent = item ->> 'base' and v.sha256 = item ->> 'sha256'
      and v.media_type = coalesce(item ->> 'media_type', v.media_type)
      and v.path = coalesce(item ->> 'path', v.path) and c.author_id = (select auth.uid()))
$$;
comment on function private.already_applied is 'Whether the caller''s own newest write is the one that is asked for again.';

-- An import names no bases: it holds the lock, so each is the head. `imported` is its commit's id.
create function private.plan_change(project uuid, items jsonb, imported text default null)
returns private.planned_version[]
language plpgsql stable
set search_path = ''
as $$
declare
  planned private.planned_version[] := '{}';
  problems jsonb[] := '{}';
  departing uuid[];
  item jsonb;
  i integer := 0;
  d public.documents;
  head public.versions;
  source public.versions;
  p private.planned_version;
  base text;
  why text;
begin
  if coalesce(jsonb_typeof(items), 'null') <> 'array' then
    perform private.fail(422, 'bad_change', 'A change has 1 to 10,000 items.');
  elsif jsonb_array_length(items) > 10000 then
    -- None at all is fine here: prepare_change answers whether the caller may write before it knows what.
    perform private.fail(422, 'bad_change', 'A change has 1 to 10,000 items.');
  end if;
  items := jsonb_strip_nulls(items);
  for item in select value from jsonb_array_elements(items) loop
    i := i + 1;
    why := private.item_problem(item);
    if why is not null then
      problems := problems || private.problem(i, 422, 'bad_item', why);
    end if;
  end loop;
  if array_length(problems, 1) > 0 then
    perform private.refuse(problems, imported);
  end if;
  i := 0;

  -- A path whose document moves away in this change is free for another item of it, and so is the one
  -- where a document was deleted that comes back elsewhere.
  select coalesce(array_agg(x.id), '{}') into departing
  from jsonb_array_elements(items) e(value)
  cross join lateral private.item_document(project, e.value, '{}') x
  where (e.value ? 'document' or e.value ? 'from') and e.value ->> 'path' <> x.path;

  for item in select value from jsonb_array_elements(items) loop
    i := i + 1;
    p := null;
    source := null;
    head := null;
    if item ? 'path' then
      why := private.path_problem(item ->> 'path');
      if why is not null then
        problems := problems || private.problem(i, 422, 'bad_path', why, jsonb_build_object('path', item ->> 'path'));
        continue;
      end if;
    end if;
    d := null;
    if imported is null or item -> 'fresh' is distinct from 'true' then
      d := private.item_document(project, item, departing);
    end if;
    base := case when imported is null then item ->> 'base' else d.head end;

    if d.id is null then
      if item ? 'document' or item ? 'from' or coalesce((item ->> 'delete')::boolean, false) or item ? 'restore' then
        problems := problems || private.problem(i, 404, 'document_not_found',
          'There is no such document in this project.',
          jsonb_build_object('path', coalesce(item ->> 'from', item ->> 'path'), 'document', item ->> 'document'));
        continue;
      end if;
      if item ->> 'path' is null then
        problems := problems || private.problem(i, 422, 'bad_path', 'An item names a path or a document.');
        continue;
      end if;
      if base is not null then
        problems := problems || private.problem(i, 412, 'stale_base',
          'The document that this write is based on is not there. Read the path again, or create it without a base.',
          jsonb_build_object('path', item ->> 'path', 'base', base, 'head', null));
        continue;
      end if;
    elsif not d.live and coalesce((item ->> 'delete')::boolean, false) then
      problems := problems || private.problem(i, 404, 'already_deleted', 'The document is deleted already.', private.head_json(d));
      continue;
    elsif d.live and base is null then
      if coalesce((item ->> 'create')::boolean, false) then
        problems := problems || private.problem(i, 412, 'already_exists',
          'A document is there already. Read it, then send its ETag as If-Match to write the next version.',
          private.head_json(d));
      else
        problems := problems || private.problem(i, 428, 'base_required',
          'A document is there already. Read it, then send its ETag as If-Match (base) so that nobody''s work is overwritten.',
          private.head_json(d));
      end if;
      continue;
    elsif base is not null or item ? 'document' or item ? 'restore' or coalesce((item ->> 'delete')::boolean, false) then
      if base is null then
        problems := problems || private.problem(i, 428, 'base_required',
          'Say which version this write is based on: its hash as base (If-Match).', private.head_json(d));
        continue;
      end if;
      if base <> d.head and not private.already_applied(d, item) then
        problems := problems || private.problem(i, 412, 'stale_base',
          'Someone wrote a newer version. Read it, put your work on top of it, and send its ETag as If-Match (base).',
          private.head_json(d) || jsonb_build_object('base', base));
        continue;
      end if;
    end if;

    if d.id is not null then
      select * into head from public.versions v where v.hash = d.head;
    end if;

    p.position := i;
    p.document_id := coalesce(d.id, gen_random_uuid());
    p.is_new := d.id is null;
    p.was_live := coalesce(d.live, false);
    p.old_path := d.path;
    p.parent := d.head;
    p.number := coalesce(d.head_number, 0) + 1;
    p.path := coalesce(item ->> 'path', d.path);
    p.copy := item ->> 'copy';
    p.merged_from := item ->> 'merged_from';
    if imported is not null and not exists (
      select from public.versions v where v.hash = p.merged_from and v.document_id = d.id and v.hash <> d.head) then
      p.merged_from := null;  -- Git merges trees: what it took in of another document is no merge of this one
    end if;
    if p.merged_from is not null and not exists (
      select from public.versions v where v.hash = p.merged_from and v.document_id = d.id and v.hash <> d.head) then
      problems := problems || private.problem(i, 422, 'bad_item', 'A merge takes in another version of the same document.',
        jsonb_build_object('path', p.path));
      continue;
    end if;
    p.md5 := item ->> 'md5';
    p.proven := coalesce((item ->> 'proven')::boolean, false);
    p.unchanged := false;
    p.mode := case when item ? 'mode' then nullif(item ->> 'mode', '100644') when p.was_live then head.mode end;

    if coalesce((item ->> 'delete')::boolean, false) then
      p.action := 'delete';
      p.mode := null;
      p.path := d.path;
    elsif item ? 'restore' then
      if item ->> 'restore' = 'latest' then
        select * into source from public.versions v
        where v.document_id = d.id and v.sha256 is not null order by v.number desc limit 1;
      else
        select * into source from public.versions v
        where v.document_id = d.id and v.number = (item ->> 'restore')::integer;
      end if;
      if source.hash is null then
        problems := problems || private.problem(i, 404, 'version_not_found',
          format('The document has versions 1 to %s.', d.head_number), private.head_json(d));
        continue;
      end if;
      if source.sha256 is null then
        problems := problems || private.problem(i, 409, 'nothing_to_restore',
          'That version is a delete and has no content. Restore the one before it.', private.head_json(d));
        continue;
      end if;
      if not exists (
        select from public.blobs b where b.project_id = project and b.sha256 = source.sha256 and b.erased_at is null) then
        problems := problems || private.problem(i, 410, 'erased', 'The bytes of that version were erased.', private.head_json(d));
        continue;
      end if;
      p.action := 'restore';
      p.sha256 := source.sha256; p.size := source.size; p.media_type := source.media_type; p.object_id := source.object_id;
      p.restored_from := source.hash;
      p.mode := case when item ? 'mode' then p.mode else source.mode end;
      p.unchanged := imported is not null and p.was_live and p.path = d.path and p.sha256 = head.sha256
        and p.media_type = head.media_type and p.mode is not distinct from head.mode;
    elsif exists (select from public.erasures e where e.project_id = project and e.sha256 = item ->> 'sha256') then
      problems := problems || private.problem(i, 410, 'content_erased',
        'This content was erased from the project and can''t come back. Change it, or leave it out.',
        jsonb_build_object('path', p.path, 'sha256', item ->> 'sha256'));
      continue;
    elsif item ->> 'sha256' is not null or coalesce((item ->> 'pending')::boolean, false) then
      p.sha256 := item ->> 'sha256';
      p.size := (item ->> 'size')::bigint;
      p.media_type := coalesce(item ->> 'media_type', head.media_type, 'application/octet-stream');
      p.action := case when not p.was_live then 'add' when p.path <> d.path then 'move' else 'edit' end;
      if p.sha256 = head.sha256 and p.size = head.size then
        p.object_id := head.object_id;
        p.unchanged := p.action = 'edit' and head.media_type = p.media_type and p.mode is not distinct from head.mode;
      elsif imported is not null and not item ? 'md5' and not item ? 'copy' then
        -- Its bytes were not sent: they are those that an earlier change proved.
        select b.object_id into p.object_id from public.blobs b
        where b.project_id = project and b.sha256 = p.sha256 and b.size = p.size and b.erased_at is null
        order by b.created_at desc, b.object_id limit 1;
      end if;
    elsif p.was_live then
      p.action := case when p.path <> d.path or not item ? 'mode' then 'move' else 'edit' end;
      p.sha256 := head.sha256; p.size := head.size; p.media_type := head.media_type; p.object_id := head.object_id;
      p.unchanged := p.path = d.path and p.mode is not distinct from head.mode;
    else
      problems := problems || private.problem(i, 422, 'no_content',
        'This item has no content, and there is no live document whose content it could keep.',
        jsonb_build_object('path', p.path));
      continue;
    end if;
    planned := planned || p;
  end loop;

  problems := problems || array(
    select private.problem(max(u.position), 422, 'document_twice',
      'One change writes a document once. Send the second write as a change of its own.',
      jsonb_build_object('document', u.document_id))
    from unnest(planned) u group by u.document_id having count(*) > 1)
    || private.path_conflicts(project, planned) || private.folder_problems(project, planned);
  if array_length(problems, 1) > 0 then
    perform private.refuse(problems, imported);
  end if;
  return planned;
end
$$;
comment on function private.plan_change is 'What each item means against the heads now; raises all the reasons against it at once.';

-- Where a document goes and where it comes from: an editor of some folders takes nothing out of others either,
-- nor brings back what was deleted there.
create function private.folder_problems(project uuid, planned private.planned_version[])
returns jsonb[]
language plpgsql stable
set search_path = ''
as $$
declare
  outside text[] := private.outside(project, array(
    select u.path from unnest(planned) u where not u.unchanged
    union select u.old_path from unnest(planned) u where not u.unchanged and u.old_path is not null));
begin
  if outside = '{}' then
    return '{}';
  end if;
  return array(
    select private.problem(u.position, 403, 'outside_folders',
      'That lies outside the folders that you are an editor of. Ask an owner.',
      jsonb_build_object('path', case when u.path = any (outside) then u.path else u.old_path end))
    from unnest(planned) u
    where not u.unchanged and (u.path = any (outside) or u.old_path = any (outside)));
end
$$;
comment on function private.folder_problems is 'Which planned versions lie outside the caller''s folders.';

-- After the change no two live documents share a path, and no live path is another one's folder:
-- such a tree could not be checked out. One plan serves one item and ten thousand, so nothing in it may
-- compare every path with every other: the change's own paths are sorted, the project's found by index.
create function private.path_conflicts(project uuid, planned private.planned_version[])
returns jsonb[]
language plpgsql stable
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
begin
  return (
    with arriving as (
      select p.position, p.document_id, p.path from unnest(planned) p
      where p.action <> 'delete' and (not p.was_live or p.path <> p.old_path)
    ),
    leaving as (
      select p.document_id from unnest(planned) p where p.action = 'delete' or (p.was_live and p.path <> p.old_path)
    ),
    -- Each arriving path wants its own name for a document, and the names above it for folders.
    wanted as materialized (
      select a.position, a.document_id, a.path, a.path as name, true as for_document from arriving a
      union all
      select a.position, a.document_id, a.path, f.folder, false
      from arriving a cross join lateral unnest(private.folders_of(a.path)) f (folder)
    ),
    clashes as (
      select w.position, w.path, d.path as with_path
      from wanted w cross join lateral (
        select x.id, x.path from public.documents x
        where x.project_id = project and x.live and x.path = w.name offset 0) d  -- by index, never by a scan of all
      where d.id <> w.document_id and d.id not in (select document_id from leaving)
      union all
      select a.position, a.path, d.path
      from arriving a cross join lateral (
        select x.path from public.documents x
        where x.project_id = project and x.live and x.path > a.path || '/' and x.path < a.path || '0'
          and x.id <> a.document_id and x.id not in (select document_id from leaving)
        order by x.path limit 1) d
      union all
      -- Within the change the first document to want a name has it.
      select w.position, w.path, w.holder
      from (select wanted.*, first_value(path) over first_wish as holder, first_value(position) over first_wish as held_by,
                   first_value(for_document) over first_wish as held
            from wanted window first_wish as (partition by name order by for_document desc, position)) w
      where w.held and w.held_by <> w.position
    )
    select coalesce(array_agg(private.problem(c.position, 409, 'path_taken',
      case when c.path = c.with_path then 'Another document is at that path. Move it away first, or choose another path.'
           else 'A path cannot be a document and a folder at once. Choose another path.' end,
      jsonb_build_object('path', c.path, 'with', c.with_path)) order by c.position), '{}')
    from (select distinct on (position) * from clashes order by position, with_path) c);
end
$$;
comment on function private.path_conflicts is 'Which planned paths are taken, or would be a document and a folder at once.';

-- Before any bytes travel -----------------------------------------------------------------------

create function private.prepare_change(project uuid, items jsonb, idempotency_key text)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
  planned private.planned_version[];
  prior bigint;
begin
  perform private.require_role(project, 'editor');
  perform private.refuse_archived(p.archived_at) from public.projects p where p.id = project;
  -- A repeat of a request that was answered already must not be told that its own write made it stale.
  select c.sequence into prior from public.changes c
  where c.project_id = project and c.author_id = auth.uid() and c.idempotency_key = prepare_change.idempotency_key;
  if prior is not null then
    return jsonb_build_object('project', project, 'repeat_of', prior, 'items', '[]'::jsonb);
  end if;
  planned := private.plan_change(project, items);
  return jsonb_build_object('project', project, 'repeat_of', null, 'items', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'document', case when not p.is_new then p.document_id end, 'number', p.number, 'path', p.path,
      'unchanged', p.unchanged,
      'copies', (
        select coalesce(jsonb_agg(jsonb_build_object('object', b.object_id, 'name', b.name, 'size', b.size) order by b.created_at), '[]')
        from (select * from public.blobs b where b.project_id = project and b.sha256 = p.sha256 and b.erased_at is null
              order by b.created_at limit 8) b)
    ) order by p.position), '[]')
    from unnest(planned) p));
end
$$;
comment on function private.prepare_change is 'Checks a change before its bytes travel.';
grant execute on function private.prepare_change to authenticated;

create function private.change_project(project text, items jsonb)
returns uuid
language plpgsql stable security definer
set search_path = ''
as $$
declare
  home uuid;
begin
  if project is not null then
    return private.project_id(project);
  end if;
  select d.project_id into home from public.documents d
  join public.members m on m.project_id = d.project_id and m.user_id = private.caller()
  where d.id = private.uuid_or_null(items -> 0 ->> 'document');
  if home is null then
    perform private.fail(404, 'document_not_found', 'There is no such document, or you are not a member of its project.');
  end if;
  return home;
end
$$;
comment on function private.change_project is 'The project of a change: by its reference, or by the document that its first item names.';
grant execute on function private.change_project to authenticated;

create function public.prepare_change(project text, items jsonb, idempotency_key text default null)
returns jsonb
language sql stable
set search_path = ''
set statement_timeout = '30s'
as $$ select private.prepare_change(private.change_project(project, items), items, idempotency_key) $$;
comment on function public.prepare_change is
  'Checks role, bases and paths of a change before any bytes travel, and says which contents the project has: {project, repeat_of, items: [{document, number, path, unchanged, copies: [{object, name, size}]}]}.';
revoke execute on function public.prepare_change from public, anon, service_role;
grant execute on function public.prepare_change to authenticated;

-- The write -------------------------------------------------------------------------------------

-- The objects that hold new content: each must be in the project's folder, with that size, and be what
-- was sent by storage's own word when it has one. An item may bring a copy of content that is there
-- already: so the honest bytes find a place beside junk, even when nothing else changes.
create function private.claim_blobs(project uuid, planned private.planned_version[], imported text default null)
returns private.planned_version[]
language plpgsql
set search_path = ''
as $$
declare
  problems jsonb[] := '{}';
  wanted record;
  detail jsonb;
begin
  for wanted in
    select u.ordinality as n, u.position, u.path, u.sha256, u.size, u.md5, u.proven, o.id, o.name, o.held, o.etag
    from unnest(planned) with ordinality u
    left join lateral (
      select s.id, s.name, (s.metadata ->> 'size')::bigint as held, btrim(s.metadata ->> 'eTag', '"') as etag
      from storage.objects s
      where s.bucket_id = 'documents' and s.name = project || '/' || u.sha256 || coalesce('.' || u.copy, '')) o on true
    where u.action <> 'delete' and u.restored_from is null and (u.object_id is null or u.copy is not null)
  loop
    detail := jsonb_build_object('path', wanted.path, 'sha256', wanted.sha256);
    if wanted.sha256 is null then
      problems := problems || private.problem(wanted.position, 422, 'no_content', 'This item''s content is still pending.', detail);
    elsif wanted.held is distinct from wanted.size then
      problems := problems || private.problem(wanted.position, 422, 'blob_missing',
        'The bytes of this item are not in storage with that size. Upload them first; the API does this for you.', detail);
    elsif wanted.md5 is not null and not wanted.proven and wanted.etag !~ '^[0-9a-f]{32}$' then
      problems := problems || private.problem(wanted.position, 422, 'blob_unproven',
        'Storage cannot say what it stored of this item. Read it back, compare it, and send the item again as proven.', detail);
    elsif wanted.md5 is not null and not wanted.proven and wanted.etag is distinct from wanted.md5 then
      problems := problems || private.problem(wanted.position, 422, 'blob_altered',
        'Storage holds other bytes than were sent for this item. Upload them as a further copy.', detail);
    else
      planned[wanted.n].object_id := wanted.id;
      -- One by one: a statement for all is planned while the table is small, and then reads all of it each time.
      insert into public.blobs (object_id, project_id, sha256, size, name)
      values (wanted.id, project, wanted.sha256, wanted.size, wanted.name)
      on conflict (object_id) do nothing;
    end if;
  end loop;
  if array_length(problems, 1) > 0 then
    perform private.refuse(problems, imported);
  end if;
  return planned;
end
$$;
comment on function private.claim_blobs is 'Ties new contents to the stored objects that hold them; raises all the reasons against it at once.';

create function private.actor()
returns table (kind public.actor_kind, agent text)
language sql stable
set search_path = ''
as $$
  -- app_metadata can be written by the project's operator only, never by the account itself.
  select case when a.name is null then 'human' else 'agent' end::public.actor_kind, a.name
  from (select nullif(left(auth.jwt() -> 'app_metadata' ->> 'verso_agent', 100), '') as name) a
$$;
comment on function private.actor is 'Whether the caller''s account is a person''s or an agent''s, and the agent''s name.';

create function private.place_versions(project uuid, sequence bigint, left_paths text[], left_documents uuid[])
returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.documents d set
    path = v.path, live = v.action <> 'delete', head = v.hash, head_number = v.number, head_sequence = place_versions.sequence
  from public.versions v
  where v.project_id = project and v.change_sequence = place_versions.sequence and d.id = v.document_id;
  insert into public.tree_entries (project_id, path, sequence, document_id, version)
  select project, v.path, place_versions.sequence, v.document_id, v.hash
  from public.versions v where v.project_id = project and v.change_sequence = place_versions.sequence and v.action <> 'delete';
  -- Paths that were left and that nothing in this change took.
  insert into public.tree_entries (project_id, path, sequence, document_id)
  select project, u.path, place_versions.sequence, u.document from unnest(left_paths, left_documents) u (path, document)
  on conflict do nothing;
end
$$;
comment on function private.place_versions is 'Makes the versions of a change the heads of their documents and part of the tree, and frees the paths that were left.';

-- Writes what was planned, under the project's lock. `c` holds what the caller says of the change; its
-- number, its place in the chain and its hash follow from the rows.
create function private.write_change(c public.changes, planned private.planned_version[])
returns public.changes
language plpgsql
set search_path = ''
as $$
declare
  made public.changes;
begin
  select p.change_sequence + 1, p.change_hash into c.sequence, c.previous from public.projects p where p.id = c.project_id;
  c.version_count := coalesce(array_length(planned, 1), 0);
  c.hash := repeat('0', 64);

  -- Free every path that is left before any is taken: two documents may swap.
  update public.documents d set live = false
  from unnest(planned) u where d.id = u.document_id and u.was_live and (u.action = 'delete' or u.path <> u.old_path);
  -- A new document gets its head below, from its first version, whose hash the trigger computes.
  insert into public.documents (id, project_id, path, live, session_id, stage, head, head_number, head_sequence)
  select u.document_id, c.project_id, u.path, true, s.id, private.stage_of(u.path, s.root), c.hash, u.number, c.sequence
  from unnest(planned) u left join public.sessions s on s.id = private.session_of(c.project_id, u.path)
  where u.is_new;
  insert into public.versions (hash, project_id, document_id, number, change_sequence, position, parent,
    restored_from, merged_from, action, path, sha256, size, object_id, media_type, mode)
  select c.hash, c.project_id, u.document_id, u.number, c.sequence, u.n, u.parent,
    u.restored_from, u.merged_from, u.action, u.path, u.sha256, u.size, u.object_id, u.media_type, u.mode
  from (select *, row_number() over (order by p.position) as n from unnest(planned) p) u order by u.n;
  perform private.place_versions(c.project_id, c.sequence, array_agg(u.old_path::text), array_agg(u.document_id))
  from unnest(planned) u where u.was_live and (u.action = 'delete' or u.path <> u.old_path);
  update public.documents d set session_id = s.id, stage = private.stage_of(u.path, s.root)
  from unnest(planned) u left join public.sessions s on s.id = private.session_of(c.project_id, u.path)
  where d.id = u.document_id and not u.is_new and u.path <> u.old_path;

  insert into public.changes select c.* returning * into made;
  perform private.add_event(c.project_id, 'change.added', jsonb_build_object('versions', c.version_count), c.sequence);
  return made;
end
$$;
comment on function private.write_change is 'Writes a planned change: documents, versions, tree, change, event. Its caller holds the lock and has checked everything.';

create function private.commit_change(
  project uuid, items jsonb, message text, idempotency_key text, source text, authored_at timestamptz, request jsonb)
returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
  held public.projects;
  asked public.sha256_hex;
  prior record;
  planned private.planned_version[];
  c public.changes;
begin
  if coalesce(jsonb_typeof(items), 'null') <> 'array' then
    perform private.fail(422, 'bad_change', 'A change has 1 to 10,000 items.');
  end if;
  if octet_length(message) > 65536 then
    perform private.fail(422, 'message_too_long', 'A message has at most 65,536 bytes.');
  end if;
  held := private.lock_project(project, 'editor');

  -- What was asked, without how its bytes came into storage: a repeat may find another way. Where the items were made
  -- from what there was, it is what they were made for: a repeat finds something else there, or nothing to do.
  asked := private.hash_of(jsonb_build_array(
    coalesce(request, private.asked_items(items)), message, source, private.canonical_time(authored_at))::text);
  if idempotency_key is not null then
    select x.sequence, x.request_hash into prior from public.changes x
    where x.project_id = project and x.author_id = auth.uid() and x.idempotency_key = commit_change.idempotency_key;
    if prior.sequence is not null then
      if prior.request_hash <> asked then
        perform private.fail(409, 'idempotency_key_reused',
          'This Idempotency-Key was used for another change. Use a new key for a new change.',
          jsonb_build_object('change', prior.sequence));
      end if;
      return prior.sequence;
    end if;
  end if;
  if items = '[]' then
    perform private.fail(422, 'bad_change', 'A change has 1 to 10,000 items.');
  end if;

  planned := private.claim_blobs(project, private.plan_change(project, items));
  planned := array(select u from unnest(planned) u where not u.unchanged order by u.position);
  if planned = '{}' then
    return null;  -- everything is as asked already
  end if;

  c.project_id := project;
  c.message := message;
  c.author_id := auth.uid();
  select a.kind, a.agent into c.actor, c.agent from private.actor() a;
  c.on_behalf_of := private.on_behalf_of(project);
  select greatest(clock_timestamp(), max(x.committed_at)) into c.committed_at
  from public.changes x where x.project_id = project and x.sequence = held.change_sequence;
  c.authored_at := coalesce(commit_change.authored_at, c.committed_at);
  c.source := source;
  c.idempotency_key := idempotency_key;
  c.request_hash := asked;
  c := private.write_change(c, planned);
  return c.sequence;
end
$$;
comment on function private.commit_change is 'Writes a change under the project''s lock; null when nothing would change.';
grant execute on function private.commit_change to authenticated;

create function private.asked_items(items jsonb)
returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_agg(case when jsonb_typeof(value) = 'object' then value - 'copy' - 'md5' - 'proven' else value end order by n)
  from jsonb_array_elements(items) with ordinality e (value, n)
$$;
comment on function private.asked_items is 'Items without what says how their bytes came into storage: what a repeat of them has in common.';

revoke execute on all functions in schema private from public;
