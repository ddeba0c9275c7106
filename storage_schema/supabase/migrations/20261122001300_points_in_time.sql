-- Between two points, and back to one: what changed in a project, its whole tree with where the bytes are,
-- and the change that would bring an earlier tree back.

-- Each document that a range of changes touched, as it was before and after: null where it wasn't live.
create function public.compare_trees(
  project text, from_point text, to_point text default null, prefix text default '', after text default null, page_size integer default 200)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  older bigint := private.change_at(target, from_point);
  newer bigint := private.change_at(target, to_point);
  low bigint := least(older, newer);
  high bigint := greatest(older, newer);
  touched uuid[];
begin
  -- A few changes are read through; of many it costs less to ask each document that changed since.
  if high - low <= 100 then
    touched := array(select distinct v.document_id from public.versions v
      where v.project_id = target and v.change_sequence > low and v.change_sequence <= high);
  else
    touched := array(select d.id from public.documents d where d.project_id = target and d.head_sequence > low);
  end if;
  return jsonb_build_object('from', older, 'to', newer, 'pairs', (
    with states as materialized (
      select t.document_id, private.live_version(t.document_id, older) as before, private.live_version(t.document_id, newer) as behind
      from unnest(touched) t (document_id)
    ),
    named as (
      -- What left a path comes before what took it: a patch is applied in this order.
      select s.document_id, s.before, s.behind,
             coalesce(b.path, a.path)::text || ' ' || (s.behind is not null)::integer || s.document_id as place,
             a.path as old_path, b.path as new_path
      from states s
      left join lateral (select * from public.versions x where x.hash = s.before offset 0) a on true
      left join lateral (select * from public.versions x where x.hash = s.behind offset 0) b on true
      where s.before is distinct from s.behind
        and (a.sha256 is distinct from b.sha256 or a.path is distinct from b.path or a.media_type is distinct from b.media_type
          or a.mode is distinct from b.mode)
        and (a.path ^@ prefix or b.path ^@ prefix)
    )
    select coalesce(jsonb_agg(jsonb_build_object('place', n.place,
        'from', public.version_answer(n.before), 'to', public.version_answer(n.behind)) order by n.place collate "C"), '[]')
    from (select * from named where compare_trees.after is null or place collate "C" > compare_trees.after
          order by place collate "C" limit private.page_rows(page_size)) n));
end
$$;
comment on function public.compare_trees is
  '{from, to, pairs: [{place, from, to}]}: the documents that differ between two points, in order of their paths, a page at a time; after is the place of the last one seen.';

create function private.live_version(document uuid, upto bigint)
returns text
language sql stable
set search_path = ''
as $$
  select case when v.action <> 'delete' then v.hash end
  from public.versions v where v.document_id = document and v.change_sequence <= upto
  order by v.change_sequence desc limit 1
$$;
comment on function private.live_version is 'The hash of a document''s version after a change; null where it wasn''t there or was deleted.';

-- A tree for readers of bytes: as list_tree, each entry with the objects that may hold its content.
create function public.list_contents(
  project text, at text default null, prefix text default '', after text default '', page_size integer default 200)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  tree jsonb := public.list_tree(project, at, prefix, after, page_size);
begin
  return jsonb_build_object('sequence', tree -> 'sequence', 'reads', (
    select coalesce(jsonb_agg(public.version_answer(e.value ->> 'version') order by e.n), '[]')
    from jsonb_array_elements(tree -> 'entries') with ordinality e (value, n)));
end
$$;
comment on function public.list_contents is '{sequence, reads}: a page of a tree as readers of bytes need it.';

-- What a change must do so that everything below a prefix is again what it was at a point: items for commit_change.
create function public.plan_restore(project text, at text, prefix text default '')
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  upto bigint := private.change_at(target, at);
  -- The paths below the prefix one by one, as list_tree walks: however long their history is.
  tree text[] := array(
    with recursive walk (path) as (
      (select t.path::text from public.tree_entries t
       where t.project_id = target and t.path >= prefix collate "C" order by t.path limit 1)
      union all
      select (select t.path::text from public.tree_entries t
              where t.project_id = target and t.path > w.path order by t.path limit 1)
      from walk w where w.path ^@ prefix
    )
    select e.version
    from (select (select t.version from public.tree_entries t
                  where t.project_id = target and t.path = w.path and t.sequence <= upto
                  order by t.sequence desc limit 1) as version
          from walk w where w.path ^@ prefix) e
    where e.version is not null);
begin
  return jsonb_build_object('sequence', upto, 'items', (
    with past as materialized (
      select v.document_id, v.number, v.path, v.sha256, v.media_type, v.mode
      from unnest(tree) t (version)
      join public.versions v on v.hash = t.version
    )
    select coalesce(jsonb_agg(i.item order by i.path), '[]') from (
      select p.path, jsonb_build_object('document', d.id, 'base', d.head, 'restore', p.number, 'path', p.path) as item
      from past p
      join public.documents d on d.id = p.document_id
      join public.versions h on h.hash = d.head
      where not d.live or d.path <> p.path or h.sha256 is distinct from p.sha256 or h.media_type is distinct from p.media_type
        or h.mode is distinct from p.mode
      union all
      select d.path, jsonb_build_object('document', d.id, 'base', d.head, 'delete', true)
      from public.documents d
      where d.project_id = target and d.live and d.path ^@ prefix
        and d.id not in (select document_id from past)) i));
end
$$;
comment on function public.plan_restore is
  '{sequence, items}: what commit_change needs to bring a folder or the whole project back to a point. Empty when it is there already.';

-- Any two documents, each by its id or by the path that it has at a point.
create function private.file_answer(project uuid, file text, at text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  if exists (select from public.documents d where d.id = private.uuid_or_null(file) and d.project_id = project) then
    return public.read_version(private.uuid_or_null(file), at);
  end if;
  return public.read_file(project::text, file, at);
end
$$;
comment on function private.file_answer is 'A version as readers get it, by a document''s id or path, now or at a point.';

create function public.compare_files(
  project text, from_file text, to_file text, from_point text default null, to_point text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return jsonb_build_object(
    'from', private.file_answer(target, from_file, from_point),
    'to', private.file_answer(target, to_file, to_point));
end
$$;
comment on function public.compare_files is '{from, to}: versions of any two documents of a project, each by id or path, now or at a point.';

-- Several versions of a project at once, as readers get them; hashes of nothing here are left out.
create function public.read_versions(project text, versions text[])
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return (
    select coalesce(jsonb_agg(public.version_answer(v.hash) order by v.hash), '[]')
    from public.versions v where v.project_id = target and v.hash = any (read_versions.versions));
end
$$;
comment on function public.read_versions is 'The versions of a project that have these hashes, as readers get them.';

-- A document as it stands, with its version at a point in place of its newest one.
create function public.read_document_at(document uuid, at text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  wanted text := private.version_at(document, at);
begin
  return (
    select to_jsonb(d) || jsonb_build_object('version', to_jsonb(v) - 'change_sequence' - 'position')
    from public.document_details d join public.version_details v on v.hash = wanted
    where d.id = read_document_at.document);
end
$$;
comment on function public.read_document_at is 'A document with its version at a point.';

revoke execute on function public.compare_trees, public.list_contents, public.plan_restore, public.read_document_at,
  public.compare_files, public.read_versions from public, anon, service_role;
grant execute on function public.compare_trees, public.list_contents, public.plan_restore, public.read_document_at,
  public.compare_files, public.read_versions to authenticated;
revoke execute on all functions in schema private from public;
grant execute on function private.live_version, private.file_answer to authenticated;
