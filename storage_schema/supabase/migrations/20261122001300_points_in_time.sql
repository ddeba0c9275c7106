-- Between two points, and back to one: what changed in a project, its whole tree with where the bytes are,
-- and the change that would bring an earlier tree back.

-- Each document that differs, as it was at both points: null where it wasn't live. Its place is its path at the newer
-- point, or where it was when it isn't there any more or lies elsewhere than below the prefix. What left a path comes
-- before what took it: a patch is applied in this order.

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

-- With its owner's rights, and the caller asked once. Few documents are asked one by one; of many it costs less to go from
-- path to path and compare what was there: a page costs what the paths cost that it passes by, however many follow.
create function private.tree_pairs(project uuid, older bigint, newer bigint, prefix text, after text, size integer)
returns table (place text, before text, behind text)
language plpgsql stable security definer
set search_path = ''
as $$
declare
  -- Of everything twice what a change may hold; below a prefix there are not so many paths.
  few constant integer := case when prefix = '' then 20000 else 1000 end;
  low bigint := least(older, newer);
  seen text collate "C" := coalesce(left(after, -38), '');
  touched uuid[];
begin
  if not exists (select from private.my_memberships m where m.project_id = tree_pairs.project) then
    return;
  end if;
  touched := array(
    select v.document_id from public.versions v
    where v.project_id = tree_pairs.project and v.change_sequence > low and v.change_sequence <= greatest(older, newer)
    order by v.change_sequence limit few + 1);  -- in order, for without it all projects' rows might be read
  if cardinality(touched) > few and prefix = '' then
    touched := array(
      -- By two indexes, that of list_stale and that of what was deleted.
      (select d.id from public.documents d
       where d.project_id::text = tree_pairs.project::text and d.live and d.head_sequence > low order by d.head_sequence limit few + 1)
      union all
      (select d.id from public.documents d
       where d.project_id = tree_pairs.project and not d.live and d.head_sequence > low order by d.path limit few + 1));
  end if;
  if cardinality(touched) <= few then
    return query
      with states as materialized (
        select t.id, private.live_version(t.id, older) as before, private.live_version(t.id, newer) as behind
        from (select distinct u.id from unnest(touched) u (id)) t
      ), named as (
        select s.before, s.behind, case when b.path ^@ tree_pairs.prefix then b.path else a.path end::text collate "C" as path,
               coalesce(b.path ^@ tree_pairs.prefix, false)::integer || s.id::text as rank
        from states s
        left join lateral (select * from public.versions x where x.hash = s.before offset 0) a on true
        left join lateral (select * from public.versions x where x.hash = s.behind offset 0) b on true
        where s.before is distinct from s.behind
          and (a.sha256 is distinct from b.sha256 or a.path is distinct from b.path or a.media_type is distinct from b.media_type
            or a.mode is distinct from b.mode)
          and (a.path ^@ tree_pairs.prefix or b.path ^@ tree_pairs.prefix)
      )
      select n.path || ' ' || n.rank, n.before, n.behind from named n
      where tree_pairs.after is null or (n.path, n.path || ' ' || n.rank) > (seen, tree_pairs.after collate "C")
      order by n.path, n.rank collate "C" limit size;
    return;
  end if;
  return query
    with recursive walk (path) as (
      (select t.path::text from public.tree_entries t
       where t.project_id = tree_pairs.project and t.path >= greatest(tree_pairs.prefix collate "C", seen) order by t.path limit 1)
      union all
      select (select t.path::text from public.tree_entries t
              where t.project_id = tree_pairs.project and t.path > w.path order by t.path limit 1)
      from walk w where w.path ^@ tree_pairs.prefix
    )
    select w.path || ' ' || p.rank, p.before, p.behind
    from walk w
    join lateral (
      select (select t from public.tree_entries t
              where t.project_id = tree_pairs.project and t.path = w.path and t.sequence <= older order by t.sequence desc limit 1) as was,
             (select t from public.tree_entries t
              where t.project_id = tree_pairs.project and t.path = w.path and t.sequence <= newer order by t.sequence desc limit 1) as now
      offset 0) e on (e.was).version is distinct from (e.now).version
    cross join lateral (
      -- What was here and is not, or lies elsewhere.
      select '0' || (e.was).document_id as rank, (e.was).version::text as before, gone.behind
      from (select private.live_version((e.was).document_id, newer) as behind) gone
      left join public.versions b on b.hash = gone.behind
      where (e.was).version is not null and (gone.behind is null or not b.path ^@ tree_pairs.prefix)
      union all
      -- What is here, and was another version, or nowhere.
      select '1' || (e.now).document_id, came.before, (e.now).version::text
      from (select private.live_version((e.now).document_id, older) as before) came
      left join public.versions a on a.hash = came.before
      join public.versions b on b.hash = (e.now).version
      where (a.sha256 is distinct from b.sha256 or a.path is distinct from b.path or a.media_type is distinct from b.media_type
        or a.mode is distinct from b.mode)
      offset 0) p
    where w.path ^@ tree_pairs.prefix and (tree_pairs.after is null or w.path > seen or w.path || ' ' || p.rank > tree_pairs.after collate "C")
    limit size;
end
$$;
comment on function private.tree_pairs is
  'The first so many documents of a project of the caller''s that differ between two changes: their versions at both, in order of their places.';

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
begin
  return jsonb_build_object('from', older, 'to', newer, 'pairs', (
    select coalesce(jsonb_agg(jsonb_build_object('place', n.place,
        'from', public.version_answer(n.before), 'to', public.version_answer(n.behind)) order by n.n), '[]')
    from private.tree_pairs(target, older, newer, prefix, after, private.page_rows(page_size)) with ordinality n (place, before, behind, n)));
end
$$;
comment on function public.compare_trees is
  '{from, to, pairs: [{place, from, to}]}: the documents that differ between two points, in order of their paths, a page at a time; after is the place of the last one seen.';

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
  newest bigint := private.change_at(target, null);
begin
  return jsonb_build_object('sequence', upto, 'items', (
    select coalesce(jsonb_agg(i.item order by i.path), '[]') from (
      select case when w.was then v.path else d.path end as path,
             jsonb_build_object('document', d.id, 'base', d.head)
             || case when w.was then jsonb_build_object('restore', v.number, 'path', v.path) else '{"delete": true}' end as item
      from (select p.before, coalesce(p.before, p.behind) as version
            from private.tree_pairs(target, upto, newest, prefix, null, 10001) p offset 0) n
      -- One by one: a join of all would rather read every document there is. And coalesce is done before, because row
      -- security holds it for leaky.
      cross join lateral (select * from public.versions x where x.hash = n.version offset 0) v
      cross join lateral (select * from public.documents x where x.id = v.document_id offset 0) d
      -- What has come here from elsewhere goes, too.
      cross join lateral (select n.before is not null and v.path ^@ prefix as was) w) i));
end
$$;
comment on function public.plan_restore is
  '{sequence, items}: what commit_change needs to bring a folder or the whole project back to a point; no more than 10,001 items, one more than it takes. Empty when it is there already.';

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
grant execute on function private.tree_pairs, private.file_answer to authenticated;
