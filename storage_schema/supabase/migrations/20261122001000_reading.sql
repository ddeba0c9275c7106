-- Reading. Everything exposed here runs with the caller's rights: what a policy hides is not there. What answers are
-- made of, a version with its change, author and objects, is joined with its owner's rights by functions in `private`:
-- each asks once whether it is of the caller's projects, where policies would ask once for each of six tables. Whoever
-- wrote in a project has been a member of it, so its members may read their name.

create view public.change_details with (security_invoker = true) as
  select c.project_id as project, c.sequence, c.message,
         coalesce(to_jsonb(p), jsonb_build_object('id', c.author_id)) as author,
         c.actor, c.agent, c.authored_at, c.committed_at, c.source, c.version_count, c.previous, c.hash,
         c.author_name,
         case when c.origin_id is not null then jsonb_build_object(
           'id', c.origin_id, 'sha256', c.origin_sha256, 'size', c.origin_size, 'author_name', c.author_name,
           'author_email', c.author_email, 'imported_at', c.imported_at,
           'attributed_to', case when c.attributed_to is not null then coalesce(
             (select to_jsonb(a) from public.people a where a.id = c.attributed_to), jsonb_build_object('id', c.attributed_to)) end)
         end as origin,
         case when c.on_behalf_of is not null then coalesce(
           (select to_jsonb(a) from public.people a where a.id = c.on_behalf_of), jsonb_build_object('id', c.on_behalf_of))
         end as on_behalf_of
  from public.changes c left join public.people p on p.id = c.author_id;
comment on view public.change_details is 'Changes with their authors, as answers show them.';
revoke all on public.change_details from anon, authenticated, service_role;
grant select on public.change_details to authenticated;

create view public.version_details with (security_invoker = true) as
  select v.hash, v.project_id as project, v.document_id as document, v.number, v.parent, v.merged_from,
         v.restored_from, v.action, v.path, v.sha256, v.size, v.media_type, v.mode,
         v.change_sequence, v.position, to_jsonb(c) as change
  from public.versions v
  join public.change_details c on c.project = v.project_id and c.sequence = v.change_sequence;
comment on view public.version_details is 'Versions with their changes, as answers show them.';
revoke all on public.version_details from anon, authenticated, service_role;
grant select on public.version_details to authenticated;

-- A version as readers get it: with the objects that may hold its bytes and where its document stands. The
-- object that was proven when it was written comes first, so that no number of copies can crowd it out; then
-- the newest, because a copy is added when an older one turned out to be something else.
create function private.version_answer(version text)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'version', to_jsonb(v) - 'change_sequence' - 'position',
      'copies', (
        select coalesce(jsonb_agg(jsonb_build_object('object', b.object_id, 'name', b.name, 'size', b.size)
                                  order by b.own desc, b.created_at desc, b.object_id), '[]')
        from (select *, b.object_id = o.object_id as own from public.blobs b
              where b.project_id = o.project_id and b.sha256 = o.sha256 and b.erased_at is null
              order by own desc, b.created_at desc, b.object_id limit 8) b),
      'head', jsonb_build_object('hash', d.head, 'number', d.head_number, 'path', d.path, 'live', d.live))
    from public.version_details v
    join public.versions o on o.hash = v.hash
    join public.documents d on d.id = v.document
    where v.hash = version and (v.project = any (array(select m.project_id from private.my_memberships m))) is true);
end
$$;
comment on function private.version_answer is
  '{version, copies: [{object, name, size}], head: {hash, number, path, live}} of a version of the caller''s projects, by hash.';
grant execute on function private.version_answer to authenticated;

create function private.version_rows(versions text[])
returns setof public.version_details
language plpgsql stable security definer
set search_path = ''
as $$
begin
  return query select * from public.version_details v
  where v.hash = any (versions) and (v.project = any (array(select m.project_id from private.my_memberships m))) is true;
end
$$;
comment on function private.version_rows is 'Those of some versions, by hash, that are of the caller''s projects, with their changes.';
grant execute on function private.version_rows to authenticated;

create function private.change_rows(project uuid, sequences bigint[])
returns setof public.change_details
language plpgsql stable security definer
set search_path = ''
as $$
begin
  return query select * from public.change_details c
  where c.project = change_rows.project and c.sequence = any (sequences)
    and (c.project = any (array(select m.project_id from private.my_memberships m))) is true;
end
$$;
comment on function private.change_rows is 'Some changes of a project of the caller''s, with their authors.';
grant execute on function private.change_rows to authenticated;

create function public.version_answer(version text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  return private.version_answer(version);
end
$$;
comment on function public.version_answer is '{version, copies: [{object, name, size}], head: {hash, number, path, live}} of a version by hash.';
revoke execute on function public.version_answer from public, anon, service_role;
grant execute on function public.version_answer to authenticated;

-- A point in a document's or project's history, as `at` gives it:
--   42       the state after change 42
--   v7       version 7 of the document
--   <hash>   the version with that hash, or the state after the change with that hash
--   <commit> the state after the change that this Git commit was imported as, by its whole id
--   <tag>    the change or version that the tag names
--   <time>   the state at that time: RFC 3339, or a date for its first moment in UTC
create function private.moment_or_null(value text)
returns timestamptz
language plpgsql immutable
set search_path = ''
set timezone = 'UTC'
as $$
begin
  return case when value ~* '^[0-9]{4}-[0-9]{2}-[0-9]{2}(t[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(z|[+-][0-9]{2}:[0-9]{2}))?$'
    then value::timestamptz end;
exception when datetime_field_overflow or invalid_datetime_format or invalid_time_zone_displacement_value then
  return null;
end
$$;
comment on function private.moment_or_null is 'An RFC 3339 time, or a date as its first moment in UTC; null for anything else.';
grant execute on function private.moment_or_null to authenticated;

create function private.change_at(project uuid, point text)
returns bigint
language plpgsql stable
set search_path = ''
as $$
declare
  newest bigint;
  found_sequence bigint;
  moment timestamptz;
begin
  select p.change_sequence into newest from public.projects p where p.id = project;
  if point is null then
    return newest;
  elsif point ~ '^[0-9]{1,18}$' then
    if point::bigint > newest then
      perform private.fail(404, 'point_not_found', format('The project has changes 1 to %s.', newest), jsonb_build_object('at', point));
    end if;
    return point::bigint;
  elsif point ~ '^[0-9a-f]{64}$' then
    select c.sequence into found_sequence from public.changes c where c.hash = point and c.project_id = project;
  end if;
  if found_sequence is null and point ~ '^([0-9a-f]{40}|[0-9a-f]{64})$' then
    select c.sequence into found_sequence from public.changes c where c.project_id = project and c.origin_id = point;
    if found_sequence is null then
      perform private.fail(404, 'point_not_found',
        case when length(point) = 64 then 'No change of this project has that hash.'
             else 'No change of this project was imported from that Git commit.' end, jsonb_build_object('at', point));
    end if;
  end if;
  if found_sequence is not null then
    return found_sequence;
  end if;
  select t.change_sequence into found_sequence from public.tags t where t.project_id = project and t.name = point;
  if found_sequence is not null then
    return found_sequence;
  end if;
  moment := private.moment_or_null(point);
  if moment is not null then
    select c.sequence into found_sequence from public.changes c
    where c.project_id = project and c.committed_at <= moment order by c.committed_at desc, c.sequence desc limit 1;
    return coalesce(found_sequence, 0);  -- before the first change: an empty tree
  end if;
  if point ~ '^v[0-9]+$' then
    perform private.fail(422, 'bad_point',
      format('%s is a version of one document. For a whole project name a change (42), a tag, the hash of a change, or a time (2026-11-22T10:00:00Z).', left(point, 20)),
      jsonb_build_object('at', point));
  end if;
  if point ~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$' then
    perform private.fail(404, 'point_not_found', 'The project has no tag of that name.', jsonb_build_object('at', point));
  end if;
  perform private.fail(422, 'bad_point',
    'A point (at) is the number of a change (42), a version of the document (v7), a hash, a tag, or a time (2026-11-22T10:00:00Z).',
    jsonb_build_object('at', point));
  return null;
end
$$;
comment on function private.change_at is 'The change that a point names: its number; the newest when there is none.';
grant execute on function private.change_at to authenticated;

create function private.version_at(document uuid, point text)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  d public.documents;
  upto bigint;
  found_hash text;
begin
  select * into d from public.documents x where x.id = document;
  if d.id is null then
    perform private.fail(404, 'document_not_found', 'There is no such document, or you are not a member of its project.');
  end if;
  if point is null then
    return d.head;
  end if;
  if point ~ '^v[0-9]{1,9}$' then
    select v.hash into found_hash from public.versions v
    where v.document_id = document and v.number = substr(point, 2)::integer;
  elsif point ~ '^[0-9a-f]{64}$' then
    select v.hash into found_hash from public.versions v where v.hash = point and v.document_id = document;
  end if;
  if found_hash is null and point !~ '^v[0-9]{1,9}$' then
    select v.hash into found_hash from public.tags t join public.versions v on v.hash = t.version
    where t.project_id = d.project_id and t.name = point and v.document_id = document;
    if found_hash is null then
      upto := private.change_at(d.project_id, point);
      select v.hash into found_hash from public.versions v
      where v.document_id = document and v.change_sequence <= upto order by v.change_sequence desc limit 1;
    end if;
  end if;
  if found_hash is null then
    perform private.fail(404, 'version_not_found', format('The document has versions 1 to %s (at=v1 to at=v%s).', d.head_number, d.head_number),
      jsonb_build_object('document', d.id, 'at', point));
  end if;
  return found_hash;
end
$$;
comment on function private.version_at is 'The hash of a document''s version at a point; its head when there is none.';
grant execute on function private.version_at to authenticated;

-- By path ---------------------------------------------------------------------------------------

create function public.read_file(project text, path text, at text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  document uuid;
  upto bigint;
  entry public.tree_entries;
  here public.documents;
begin
  if at is null then
    select d.head, d.id into entry.version, document
    from public.documents d where d.project_id = target and d.path = read_file.path and d.live;
  elsif at ~ '^v[0-9]{1,9}$' or (at ~ '^[0-9a-f]{64}$' and exists (
      select from public.versions v where v.hash = at and v.project_id = target)) then
    select d.id into document from public.documents d
    where d.project_id = target and d.path = read_file.path and d.live;
    if document is null then
      select d.id into document from public.documents d
      where d.project_id = target and d.path = read_file.path and not d.live order by d.head_sequence desc limit 1;
    end if;
    if document is not null then
      entry.version := private.version_at(document, at);
    end if;
  else
    upto := private.change_at(target, at);
    select * into entry from public.tree_entries t
    where t.project_id = target and t.path = read_file.path and t.sequence <= upto
    order by t.sequence desc limit 1;
  end if;
  if entry.version is null then
    -- Say where it went, rather than only that it isn't here.
    select * into entry from public.tree_entries t
    where t.project_id = target and t.path = read_file.path order by t.sequence desc limit 1;
    select * into here from public.documents d where d.id = entry.document_id;
    if at is not null or here.id is null then
      perform private.fail(404, 'document_not_found',
        case when at is null then 'There is no document at that path.' else 'There was no document at that path at that point.' end,
        jsonb_build_object('path', path));
    elsif here.live then
      perform private.fail(404, 'document_moved', 'The document that was here has moved.',
        jsonb_build_object('path', path, 'document', here.id, 'moved_to', here.path));
    else
      perform private.fail(404, 'document_deleted', 'The document that was here is deleted. Its history is there, and it can be restored.',
        jsonb_build_object('path', path, 'document', here.id, 'head', here.head, 'number', here.head_number));
    end if;
  end if;
  return private.version_answer(entry.version);
end
$$;
comment on function public.read_file is 'The version that a path has, now or at a point.';
revoke execute on function public.read_file from public, anon, service_role;
grant execute on function public.read_file to authenticated;

-- With its owner's rights, and the caller asked once: the walk is two looks into an index for each path.
create function private.tree_page(project uuid, upto bigint, prefix text, after text, page_size integer)
returns text[]
language plpgsql stable security definer
set search_path = ''
as $$
declare
  first_path text := greatest(prefix collate "C", after collate "C");
begin
  if not exists (select from private.my_memberships m where m.project_id = tree_page.project) then
    return '{}';
  elsif upto = (select p.change_sequence from public.projects p where p.id = tree_page.project) then
    -- As it is now, it is the live documents: what was deleted, however much, isn't walked over.
    return array(
      select d.head from public.documents d
      where d.project_id = tree_page.project and d.live and d.path >= first_path and d.path > tree_page.after
        -- Every path that begins so, and none else: a path has at most 1,024 bytes.
        and d.path < tree_page.prefix || repeat(chr(1114111), 257)
      order by d.path limit private.page_rows(page_size));
  end if;
  return array(
    -- A loose index scan: from each path to the next one, and at each the newest entry up to the point.
    -- A page costs what its paths cost, however long their history is. The walk is in byte order and the
    -- limit ends it, so nothing may be joined to it before the limit.
    with recursive walk (path) as (
      (select t.path::text from public.tree_entries t
       where t.project_id = tree_page.project and t.path >= first_path and t.path > tree_page.after order by t.path limit 1)
      union all
      select (select t.path::text from public.tree_entries t
              where t.project_id = tree_page.project and t.path > w.path order by t.path limit 1)
      from walk w where w.path ^@ tree_page.prefix
    )
    select e.version
    from (select (select t.version from public.tree_entries t
                  where t.project_id = tree_page.project and t.path = w.path and t.sequence <= upto
                  order by t.sequence desc limit 1) as version
          from walk w where w.path ^@ tree_page.prefix) e
    where e.version is not null
    limit private.page_rows(page_size));
end
$$;
comment on function private.tree_page is 'The versions, by hash, that a page of the paths of a project of the caller''s has at a change.';
grant execute on function private.tree_page to authenticated;

create function public.list_tree(project text, at text default null, prefix text default '', after text default '', page_size integer default 200)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  upto bigint := private.change_at(target, at);
  page text[] := private.tree_page(target, upto, prefix, after, page_size);
begin
  return jsonb_build_object('sequence', upto, 'entries', (
    select coalesce(jsonb_agg(to_jsonb(e) order by e.path), '[]') from (
      select v.path, v.document_id as document, v.hash as version, v.number, v.sha256, v.size, v.media_type, v.mode,
             v.change_sequence as change, d.session_id as session, d.stage
      from public.versions v join public.documents d on d.id = v.document_id
      where v.hash = any (page)) e));
end
$$;
comment on function public.list_tree is '{sequence, entries}: the paths of a project at a point, in byte order, a page at a time.';
revoke execute on function public.list_tree from public, anon, service_role;
grant execute on function public.list_tree to authenticated;

-- By document -----------------------------------------------------------------------------------

create function public.read_version(document uuid, at text default null)
returns jsonb
language sql stable
set search_path = ''
as $$ select private.version_answer(private.version_at(document, at)) $$;
comment on function public.read_version is 'A document''s version at a point; its newest when there is none.';
revoke execute on function public.read_version from public, anon, service_role;
grant execute on function public.read_version to authenticated;

create view public.document_details with (security_invoker = true) as
  select d.id, d.project_id as project, d.path, d.live, d.session_id as session, d.stage, d.head, d.head_number, d.head_sequence,
         d.created_at
  from public.documents d;
comment on view public.document_details is 'Documents as answers show them.';
revoke all on public.document_details from anon, authenticated, service_role;
grant select on public.document_details to authenticated;

create function public.read_document(document uuid)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  newest text := private.version_at(document, null);
begin
  return (
    select to_jsonb(d) || jsonb_build_object('version', to_jsonb(v) - 'change_sequence' - 'position')
    from public.document_details d cross join private.version_rows(array[newest]) v
    where d.id = read_document.document);
end
$$;
comment on function public.read_document is 'A document with its newest version.';
revoke execute on function public.read_document from public, anon, service_role;
grant execute on function public.read_document to authenticated;

create function public.list_versions(document uuid, before integer default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  head text := private.version_at(document, null);  -- 404 when it isn't there
  -- A variable, because row security holds coalesce for leaky, and then it is no bound on an index.
  below integer := coalesce(before, 2147483647);
  page text[];
begin
  -- The page is cut first, from one index. Joined before the cut, PostgreSQL may walk the changes down to it.
  page := array(
    select v.hash from public.versions v
    where v.document_id = document and v.number < below
    order by v.number desc limit private.page_rows(page_size));
  return (select coalesce(jsonb_agg(to_jsonb(v) - 'change_sequence' - 'position' order by v.number desc), '[]')
          from private.version_rows(page) v);
end
$$;
comment on function public.list_versions is 'A document''s versions, newest first; before is the number of the last one seen.';
revoke execute on function public.list_versions from public, anon, service_role;
grant execute on function public.list_versions to authenticated;

create function public.compare_versions(document uuid, from_point text default null, to_point text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  newer text := private.version_at(document, to_point);
  older text;
begin
  if from_point is null then
    select v.parent into older from public.versions v where v.hash = newer;
  else
    older := private.version_at(document, from_point);
  end if;
  return jsonb_build_object('from', private.version_answer(older), 'to', private.version_answer(newer));
end
$$;
comment on function public.compare_versions is
  '{from, to}: two versions of a document; `to` is the newest and `from` the one before it unless said. from is null before the first.';
revoke execute on function public.compare_versions from public, anon, service_role;
grant execute on function public.compare_versions to authenticated;

-- By change -------------------------------------------------------------------------------------

create function public.list_changes(
  project text, before bigint default null, page_size integer default 50, prefix text default null,
  author text default null, since timestamptz default null, until timestamptz default null, search text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  below bigint := coalesce(before, 9223372036854775807);
  above bigint := 0;
  size integer := private.page_rows(page_size);
  wanted uuid;
  recent bigint;
  numbers bigint[];
  page bigint[] := '{}';
  small bigint[] := '{}';
begin
  -- Times never go back in a project, so the two times become numbers by index, and the page is a range of numbers.
  if until is not null then
    select least(below, coalesce(max(c.sequence), 0) + 1) into below from (
      select c.sequence from public.changes c where c.project_id = target and c.committed_at < until
      order by c.committed_at desc, c.sequence desc limit 1) c;
  end if;
  if since is not null then
    select coalesce(max(c.sequence), 0) into above from (
      select c.sequence from public.changes c where c.project_id = target and c.committed_at < since
      order by c.committed_at desc, c.sequence desc limit 1) c;
  end if;
  if author is not null then
    select p.id into wanted from public.people p
    where p.handle = lower(author) or p.id = private.uuid_or_null(lower(author));
  end if;
  -- Whoever imported a change is not its author. With author and search the log is walked until the page is full:
  -- name a time (since) to end the walk sooner.
  if prefix is null then
    select array_agg(w.sequence), array_agg(w.sequence) filter (where w.version_count <= 20) into page, small from (
      select c.sequence, c.version_count from public.changes c
      where c.project_id = target and c.sequence < below and c.sequence > above
        and (author is null or wanted = case when c.origin_id is null then c.author_id else c.attributed_to end
          or lower(c.author_name) = lower(author) or lower(c.author_email) = lower(author))
        and (search is null or strpos(lower(c.message), lower(search)) > 0)
      order by c.sequence desc limit size) w;
  else
    -- A folder that is written to fills its page from the newest thousand changes; what is older is found by the
    -- folder's own paths. A walk would go through everybody else's changes, a look at the paths alone through
    -- all that the folder ever was.
    select least(below, p.change_sequence + 1) into below from public.projects p where p.id = target;
    recent := greatest(above, below - 1001);
    numbers := array(select generate_series(recent + 1, below - 1));
    loop
      select page || coalesce(array_agg(w.sequence), '{}'),
             small || coalesce(array_agg(w.sequence) filter (where w.version_count <= 20), '{}') into page, small from (
        select c.sequence, c.version_count from public.changes c
        where c.project_id = target and c.sequence = any (numbers)
          and (author is null or wanted = case when c.origin_id is null then c.author_id else c.attributed_to end
            or lower(c.author_name) = lower(author) or lower(c.author_email) = lower(author))
          and (search is null or strpos(lower(c.message), lower(search)) > 0)
          -- Not `exists`, which may be planned as a join that reads all of the project's versions.
          and (select true from public.versions v
               where v.project_id = target and v.change_sequence = c.sequence and v.path ^@ prefix limit 1)
        order by c.sequence desc limit size - cardinality(page)) w;
      exit when cardinality(page) >= size or recent <= above;
      -- Every path that begins so, and none else: a path has at most 1,024 bytes.
      numbers := array(
        select distinct t.sequence from public.tree_entries t
        where t.project_id = target and t.path >= prefix and t.path < prefix || repeat(chr(1114111), 257)
          and t.sequence > above and t.sequence <= recent);
      recent := above;
    end loop;
  end if;
  return (select coalesce(jsonb_agg(to_jsonb(d) || jsonb_build_object('diffstat', t.diffstat) order by d.sequence desc), '[]')
          from private.change_rows(target, page) d
          left join private.diffstats(target, small) t on t.sequence = d.sequence);  -- migration 1400
end
$$;
comment on function public.list_changes is 'A project''s changes, newest first, filtered by path prefix, author, time and text of the message; each with its kept diffstat.';
revoke execute on function public.list_changes from public, anon, service_role;
grant execute on function public.list_changes to authenticated;

create function private.change_answer(project uuid, sequence bigint)
returns jsonb
language sql stable
set search_path = ''
as $$
  select to_jsonb(c) || jsonb_build_object('versions', (
    select coalesce(jsonb_agg(to_jsonb(v) - 'change' - 'change_sequence' - 'position' order by v.position), '[]')
    from (select v.hash, v.project_id as project, v.document_id as document, v.number, v.parent, v.merged_from,
            v.restored_from, v.action, v.path, v.sha256, v.size, v.media_type, v.mode, v.position
          from public.versions v
          where v.project_id = change_answer.project and v.change_sequence = change_answer.sequence) v))
  from private.change_rows(change_answer.project, array[change_answer.sequence]) c
$$;
comment on function private.change_answer is 'A change with its versions.';
grant execute on function private.change_answer to authenticated;

create function public.read_change(project text, sequence bigint)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  answer jsonb := private.change_answer(target, sequence);
begin
  if answer is null then
    perform private.fail(404, 'change_not_found', 'The project has no change of that number.');
  end if;
  return answer || jsonb_build_object('diffstat', private.diffstat(target, sequence));  -- migration 1400
end
$$;
comment on function public.read_change is 'A change with its versions, and how many lines each added and removed where that is kept.';
revoke execute on function public.read_change from public, anon, service_role;
grant execute on function public.read_change to authenticated;

create function public.commit_change(
  project text, items jsonb, message text default '', idempotency_key text default null,
  source text default 'api', authored_at timestamptz default null, request jsonb default null)
returns jsonb
language plpgsql
set search_path = ''
-- 10,000 items take 4 to 6 s on a small machine, and a person's statements end after 8 s.
set statement_timeout = '30s'
as $$
declare
  target uuid := private.change_project(project, items);
  written bigint := private.commit_change(
    target, items, coalesce(message, ''), idempotency_key, coalesce(source, 'api'), authored_at, request);
begin
  return jsonb_build_object('change', private.change_answer(target, written));
end
$$;
comment on function public.commit_change is
  'Writes one atomic change; {change: null} when everything is as asked already. Items and request: docs/schema.md.';
revoke execute on function public.commit_change from public, anon, service_role;
grant execute on function public.commit_change to authenticated;

revoke execute on all functions in schema private from public;
