-- What pages show beside a list: who changed each of its entries last, and why. One question for all of them.
create function public.list_summaries(projects uuid[], sequences bigint[])
returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  if cardinality(projects) <> cardinality(sequences) or cardinality(projects) > 1000 then
    perform private.fail(422, 'bad_value', 'Name at most 1000 changes, each by its project and its number.');
  end if;
  return (
    select coalesce(jsonb_agg(to_jsonb(c) order by c.project, c.sequence), '[]')
    from (select distinct w.project, w.sequence from unnest(projects, sequences) w (project, sequence)) w
    cross join lateral (
      select * from public.change_details d where d.project = w.project and d.sequence = w.sequence) c);
end
$$;
comment on function public.list_summaries is 'Changes by their projects and numbers (two arrays of the same length), as lists show them; those that the caller may not see are left out.';
revoke execute on function public.list_summaries from public, anon, service_role;
grant execute on function public.list_summaries to authenticated;

-- What a list of versions says of their reviews. The verdicts are cut first, as list_reviews does it; their reasons are long.
create function private.verdicts_on(versions text[])
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  standing uuid[] := array(select s.id from private.standing_reviews(versions) s);
begin
  return (select coalesce(jsonb_agg(to_jsonb(d) - 'body' || jsonb_build_object('counts', true) order by d.sequence), '[]')
          from public.review_details d where d.id = any (standing));
end
$$;
comment on function private.verdicts_on is 'The reviews of versions that count, oldest first, without their reasons.';
grant execute on function private.verdicts_on to authenticated;

-- What pages need, each in one question: the same answers as those of the functions that it names, one by one.
create function public.read_overview_page(project text, at text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  here jsonb := public.read_project(project);
begin
  return jsonb_build_object(
    'project', here,
    'tree', public.list_tree(project, at, '', '', 1000),
    'sessions', public.list_pipelines(project, null, null, null, null, 31),
    'tags', public.list_tags(project, '', 100),
    'recent', public.list_changes(project, null, 8));
end
$$;
comment on function public.read_overview_page is
  '{project, tree, sessions, tags, recent}: what a project''s first page shows, with the first 1000 paths of its tree at a point.';
revoke execute on function public.read_overview_page from public, anon, service_role;
grant execute on function public.read_overview_page to authenticated;

create function public.read_document_page(project text, path text, at text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  read jsonb := public.read_file(project, path, at);
begin
  return read || jsonb_build_object('verdicts', private.verdicts_on(array[read -> 'version' ->> 'hash']));
end
$$;
comment on function public.read_document_page is 'The version that a path has, as read_file answers, and the verdicts on it that count.';
revoke execute on function public.read_document_page from public, anon, service_role;
grant execute on function public.read_document_page to authenticated;

create function public.read_history_page(project text, document uuid, before integer default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  here jsonb := public.read_project(project);  -- first: who may not see it is told of nothing else
  versions jsonb := public.list_versions(document, before, page_size);
begin
  return jsonb_build_object(
    'project', here,
    'document', public.read_document(document),
    'versions', versions,
    'verdicts', private.verdicts_on(array(select v ->> 'hash' from jsonb_array_elements(versions) v)),
    'tags', public.list_tags(project, '', 1000));
end
$$;
comment on function public.read_history_page is '{project, document, versions, verdicts, tags}: what the page of a document''s history shows.';
revoke execute on function public.read_history_page from public, anon, service_role;
grant execute on function public.read_history_page to authenticated;

create function public.read_diff_page(project text, document uuid, from_point text default null, to_point text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  here jsonb := public.read_project(project);
  sides jsonb := public.compare_versions(document, from_point, to_point);
  newer text := sides -> 'to' -> 'version' ->> 'hash';
begin
  return jsonb_build_object(
    'project', here,
    'sides', sides,
    'comments', public.list_document_comments(document, newer, null, 0, 200),
    'reviews', public.list_reviews(newer, null, 50));
end
$$;
comment on function public.read_diff_page is '{project, sides, comments, reviews}: what the page of a document''s difference shows, comments as beside the newer side.';
revoke execute on function public.read_diff_page from public, anon, service_role;
grant execute on function public.read_diff_page to authenticated;

revoke execute on all functions in schema private from public;
