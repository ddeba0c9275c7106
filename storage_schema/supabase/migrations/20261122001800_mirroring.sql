-- Mirroring: a project's whole history and contents in few round trips, for clients that keep a copy, for
-- exports, and for Git over HTTP. What a member reads one by one elsewhere is read here in large pages.

-- A page ends early when it gets heavy (versions, bytes of messages and of imported commits), and never in the middle of a change.
create function public.list_history(project text, after bigint default 0, page_size integer default 200)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  newest bigint;
  page bigint[];
begin
  select p.change_sequence into newest from public.projects p where p.id = target;
  -- The page is cut first, from one index, and then read by its numbers.
  page := array(
    select w.sequence from (
      select c.sequence,
             row_number() over running as n,
             sum(c.version_count) over running as versions,
             sum(octet_length(c.message) + coalesce(c.origin_size, 0)) over running as bytes
      from (select c.sequence, c.version_count, c.message, c.origin_size from public.changes c
            where c.project_id = target and c.sequence > list_history.after
            order by c.sequence limit private.page_rows(page_size)) c
      window running as (order by c.sequence)) w
    where w.n = 1 or w.versions <= 5000 and w.bytes <= 4194304);
  return jsonb_build_object('newest', newest, 'changes', (
    -- One by one, each by its key: on statistics that are older than a large import, a join of all reads the whole project
    -- for each change of the page.
    select coalesce(jsonb_agg(to_jsonb(d) || jsonb_build_object(
      'versions', w.versions,
      'origin_raw', translate(encode(c.origin, 'base64'), E'\n', '')) order by d.sequence), '[]')
    from unnest(page) u (sequence)
    cross join lateral (
      select * from public.change_details x where x.project = target and x.sequence = u.sequence offset 0) d
    cross join lateral (
      select x.origin from public.changes x where x.project_id = target and x.sequence = u.sequence offset 0) c
    cross join lateral (
      select coalesce(jsonb_agg(jsonb_build_object(
               'hash', v.hash, 'project', v.project_id, 'document', v.document_id, 'number', v.number, 'parent', v.parent,
               'merged_from', v.merged_from, 'restored_from', v.restored_from, 'action', v.action, 'path', v.path,
               'sha256', v.sha256, 'size', v.size, 'media_type', v.media_type, 'mode', v.mode) order by v.position), '[]') as versions
      from public.versions v
      where v.project_id = target and v.change_sequence = u.sequence) w));
end
$$;
comment on function public.list_history is
  '{newest, changes}: the number of the newest change, and whole changes with their versions, oldest first, imported ones with their commit in base64 (origin_raw); after is the number of the last one seen. A page has at least one change, and fewer than asked for when they are heavy.';
revoke execute on function public.list_history from public, anon, service_role;
grant execute on function public.list_history to authenticated;

-- Contents by their hashes. A row of blobs is written with the first version that holds the content, so it
-- stands for "some version of this project has it"; another project's contents are never told of.
create function public.list_held(project text, contents text[])
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  if cardinality(contents) > 10000 then
    perform private.fail(422, 'bad_value', 'Ask for at most 10,000 contents at once.', jsonb_build_object('limit', 10000));
  end if;
  return (
    select coalesce(jsonb_agg(distinct b.sha256), '[]') from public.blobs b
    where b.project_id = target and b.sha256 = any (contents) and b.erased_at is null);
end
$$;
comment on function public.list_held is 'Those of these contents (by SHA-256) that a version of the project holds.';
revoke execute on function public.list_held from public, anon, service_role;
grant execute on function public.list_held to authenticated;

create function public.locate_contents(project text, contents text[])
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  unknown text;
begin
  if cardinality(contents) > 1000 then
    perform private.fail(422, 'bad_value', 'Ask for at most 1,000 contents at once.', jsonb_build_object('limit', 1000));
  end if;
  select asked into unknown from unnest(contents) asked
  where not exists (select from public.blobs b where b.project_id = target and b.sha256 = asked) limit 1;
  if unknown is not null then
    perform private.fail(404, 'content_not_found', 'No version of the project has that content.', jsonb_build_object('sha256', unknown));
  end if;
  -- Objects that a version was proven on come first, as in version_answer.
  return jsonb_build_object('project', target, 'contents', (
    select coalesce(jsonb_agg(jsonb_build_object('sha256', u.sha256, 'size', l.size, 'copies', l.copies) order by u.n), '[]')
    from unnest(contents) with ordinality u(sha256, n)
    cross join lateral (
      select max(b.size) as size, coalesce(jsonb_agg(jsonb_build_object('object', b.object_id, 'name', b.name, 'size', b.size)
               order by b.proven desc, b.created_at desc, b.object_id) filter (where b.erased_at is null), '[]') as copies
      -- Neither `exists` nor `=`: where many versions share few objects, PostgreSQL would rather read all versions
      -- than look one object up. A range has an order, and that is the index's.
      from (select x.*, (select v.object_id from public.versions v where v.object_id between x.object_id and x.object_id
                         order by v.object_id limit 1) is not null as proven
            from public.blobs x where x.project_id = target and x.sha256 = u.sha256
            order by x.erased_at is not null, proven desc, x.created_at desc, x.object_id limit 8) b) l));
end
$$;
comment on function public.locate_contents is
  '{project, contents: [{sha256, size, copies: [{object, name, size}]}]} in the order asked for; copies is empty once the bytes were erased.';
revoke execute on function public.locate_contents from public, anon, service_role;
grant execute on function public.locate_contents to authenticated;

revoke execute on all functions in schema private from public;
