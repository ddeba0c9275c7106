-- Who wrote each line, kept with every version so that blame is one lookup. Derived data: whatever is here can
-- be computed again from the bytes, and whatever isn't here is (app/flows/blame.py). The database cannot
-- compare texts, so a row is the word of the version's own author, within limits that can be checked without
-- the bytes (docs/decisions/0008).

create table public.attributions (
  version public.sha256_hex primary key references public.versions,
  project_id uuid not null references public.projects,
  lines integer not null constraint attributions_lines_positive check (lines >= 0),
  -- Triples, one after the other: the number of the version that wrote the lines, the number of the first of
  -- them there, how many. Numbers instead of hashes: a twelfth of the space, and they can't leave the document.
  runs integer[] not null
    constraint attributions_runs_form check (
      cardinality(runs) % 3 = 0 and coalesce(array_ndims(runs), 1) = 1 and array_position(runs, null) is null),
  lines_added integer constraint attributions_added_range check (lines_added between 0 and lines),
  lines_removed integer constraint attributions_removed_positive check (lines_removed >= 0),
  constraint attributions_diffstat check ((lines_added is null) = (lines_removed is null)),
  constraint attributions_empty check ((lines = 0) = (cardinality(runs) = 0))
);
create index attributions_project_id_idx on public.attributions (project_id);
alter table public.attributions enable row level security;

comment on table public.attributions is 'Who wrote each line of a version. Derived from the bytes, said by the version''s author, never changed.';
comment on column public.attributions.version is 'The version.';
comment on column public.attributions.project_id is 'The project.';
comment on column public.attributions.lines is 'How many lines the version has; only a newline ends one.';
comment on column public.attributions.runs is 'Triples: number of the version of the document that wrote the lines, first line there from 1, how many.';
comment on column public.attributions.lines_added is 'Lines that the version before doesn''t have; null where it wasn''t computed.';
comment on column public.attributions.lines_removed is 'Lines of the version before that this one doesn''t have; null where it wasn''t computed.';

create policy "members read the attributions of their projects" on public.attributions
  for select to authenticated using (project_id in (select private.my_projects()));
revoke all on public.attributions from anon, authenticated, service_role;
grant select on public.attributions to authenticated, service_role;
create trigger attributions_are_history before update or delete on public.attributions
  for each row execute function private.refuse_rewrite();
create trigger attributions_are_kept before truncate on public.attributions
  for each statement execute function private.refuse_rewrite();

create function private.runs_of(flat integer[])
returns table (n integer, first integer, origin integer, line integer, lines integer)
language sql immutable
set search_path = ''
as $$
  -- sum() of integers is bigint: crafted numbers are refused by the caller, not by an overflow.
  select r.n, (sum(r.lines) over (order by r.n) - r.lines + 1)::integer, r.origin, r.line, r.lines
  from (select (i + 2) / 3 as n, flat[i] as origin, flat[i + 1] as line, flat[i + 2] as lines
        from generate_series(1, cardinality(flat), 3) i) r
$$;
comment on function private.runs_of is 'The runs of an attribution with their numbers and their first lines in the version.';

-- What can be said against an attribution without the bytes.
create function private.attribution_problem(v public.versions, given integer[], added integer, removed integer)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  total bigint;
  before public.attributions;
  sources text[];
  known bigint;
begin
  if v.sha256 is null then
    return 'A delete has no lines.';
  end if;
  if given is null or cardinality(given) % 3 <> 0 or array_position(given, null) is not null or array_ndims(given) > 1 then
    return 'Runs are triples of numbers.';
  end if;
  -- A line is a byte at least, and nothing before this may overflow on what was made up.
  select coalesce(sum(given[i + 2]::bigint), 0) into total from generate_series(1, cardinality(given), 3) i;
  if total > least(v.size, 2147483647) or (total = 0) <> (v.size = 0)
    or exists (select from generate_series(1, cardinality(given), 3) i
               where given[i] < 1 or given[i] > v.number or given[i + 1] < 1 or given[i + 2] < 1
                 or given[i + 1]::bigint + given[i + 2] > 2147483647) then
    return 'The runs cannot be those of a version of that size and number.';
  end if;
  if exists (select from private.runs_of(given) r where r.origin = v.number and r.line <> r.first) then
    return 'Lines that the version wrote itself are where they are.';
  end if;
  if exists (
    select from (
      select x.origin, max(x.line + x.lines - 1) as last from private.runs_of(given) x where x.origin < v.number group by x.origin) r
    cross join lateral (  -- by key, never by a scan of the whole history
      select y.sha256, coalesce((select a.lines from public.attributions a where a.version = y.hash), y.size) as lines
      from public.versions y where y.document_id = v.document_id and y.number = r.origin offset 0) o
    where o.sha256 is null or r.last > o.lines) then
    return 'A run names lines that its version doesn''t have.';
  end if;
  -- Lines of others come through a version that this one was made from. Where those are attributed, only what
  -- they have can be handed on.
  sources := array_remove(array[
    case when v.action not in ('add', 'restore') then v.parent end, v.merged_from, v.restored_from]::text[], null);
  select count(*) into known from public.attributions a where a.version = any (sources);
  if known = cardinality(sources) and exists (
    with held as (
      select r.origin, range_agg(int4range(r.line, r.line + r.lines)) as lines
      from public.attributions a cross join lateral private.runs_of(a.runs) r
      where a.version = any (sources) group by r.origin)
    select from private.runs_of(given) r left join held h on h.origin = r.origin
    where r.origin < v.number and not coalesce(int4range(r.line, r.line + r.lines) <@ h.lines, false)) then
    return 'A run names lines that no version has from which this one was made.';
  end if;
  select * into before from public.attributions a where a.version = v.parent;
  if (added is null) <> (removed is null) or added not between 0 and total or removed < 0
    or before.version is not null and total - added <> before.lines - removed then
    return 'The numbers of lines added and removed don''t fit those of the two versions.';
  end if;
  return null;
end
$$;
comment on function private.attribution_problem is 'Why runs cannot be a version''s attribution, or null: as far as can be told without the bytes.';

create function private.store_attributions(items jsonb)
returns integer
language plpgsql security definer
set search_path = ''
as $$
declare
  item jsonb;
  v public.versions;
  given integer[];
  why text;
  stored integer := 0;
begin
  if coalesce(jsonb_typeof(items), 'null') <> 'array' or jsonb_array_length(items) > 1000 then
    perform private.fail(422, 'bad_attribution', 'Attributions come as a list of at most 1,000.');
  end if;
  for item in select value from jsonb_array_elements(items) loop
    -- One look-up after another, each by its key: joined, they were planned while the tables were empty,
    -- and every item scanned them all (measured: 57 ms an item at 600 versions).
    select * into v from public.versions x where x.hash = item ->> 'version';
    if v.hash is null
      or not exists (select from public.changes c
        where c.project_id = v.project_id and c.sequence = v.change_sequence and c.author_id = auth.uid())
      or not exists (select from public.members m where m.project_id = v.project_id and m.user_id = auth.uid()) then
      perform private.fail(404, 'version_not_found', 'There is no such version, or you did not write it: only its author says who wrote its lines.');
    end if;
    begin
      given := array(select e.value::integer from jsonb_array_elements_text(item -> 'runs') with ordinality e (value, n) order by e.n);
      why := private.attribution_problem(v, given, (item ->> 'added')::integer, (item ->> 'removed')::integer);
    exception when data_exception or cannot_coerce then
      why := 'Runs are triples of numbers.';
    end;
    if why is not null then
      perform private.fail(422, 'bad_attribution', why, jsonb_build_object('version', v.hash));
    end if;
    insert into public.attributions (version, project_id, lines, runs, lines_added, lines_removed)
    values (v.hash, v.project_id, (select coalesce(sum(r.lines), 0) from private.runs_of(given) r), given,
      (item ->> 'added')::integer, (item ->> 'removed')::integer)
    on conflict do nothing;
    if found then
      stored := stored + 1;
    end if;
  end loop;
  return stored;
end
$$;
comment on function private.store_attributions is 'Keeps attributions of the caller''s own versions; those that are there stay.';
grant execute on function private.store_attributions to authenticated;

create function public.store_attributions(items jsonb)
returns jsonb
language sql
set search_path = ''
as $$ select jsonb_build_object('stored', private.store_attributions(items)) $$;
comment on function public.store_attributions is
  'Keeps who wrote each line of the caller''s own versions: [{version, runs, added, removed}], oldest first. {stored}: how many were new.';

-- Blame in one round trip: the runs that touch the wanted lines, and the versions that they name.
create function public.read_blame(document uuid, at text default null, first_line integer default 1, last_line integer default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target text := private.version_at(document, at);
  kept public.attributions;
  final integer := coalesce(last_line, 2147483647);
begin
  select * into kept from public.attributions a where a.version = target;
  return jsonb_build_object(
    'read', public.version_answer(target),
    'lines', kept.lines,
    'runs', case when kept.version is not null then (
      select coalesce(jsonb_agg(jsonb_build_array(r.first, r.origin, r.line, r.lines) order by r.n), '[]')
      from private.runs_of(kept.runs) r where r.first <= final and r.first + r.lines > first_line) end,
    'origins', case when kept.version is not null then public.list_origins(document, array(
      select distinct r.origin from private.runs_of(kept.runs) r
      where r.first <= final and r.first + r.lines > first_line)) end);
end
$$;
comment on function public.read_blame is
  '{read, lines, runs: [[first line, origin''s number, line there, lines]], origins}: who wrote some lines of a version. lines, runs and origins are null where no attribution is kept.';

create function public.list_origins(document uuid, numbers integer[])
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'hash', v.hash, 'number', v.number, 'path', v.path, 'change', c.sequence,
    'author', c.author, 'actor', c.actor, 'agent', c.agent,
    'authored_at', c.authored_at, 'committed_at', c.committed_at,
    'summary', left(split_part(c.message, E'\n', 1), 200)) order by v.number), '[]')
  from public.versions v
  join public.change_details c on c.project = v.project_id and c.sequence = v.change_sequence
  where v.document_id = list_origins.document and v.number = any (numbers)
$$;
comment on function public.list_origins is 'Versions of a document as blame names them: the message is its first line, at most 200 characters.';

-- For computing what isn't kept: versions from a number down to the nearest one whose attribution is kept.
create function public.list_attributions(document uuid, upto integer, page_size integer default 200, ignore_kept boolean default false)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  nearest integer := 1;
begin
  perform private.version_at(document, null);  -- 404 when it isn't there
  if not ignore_kept then
    select coalesce(max(n.number), 1) into nearest from (
      select v.number from public.versions v join public.attributions a on a.version = v.hash
      where v.document_id = document and v.number <= upto order by v.number desc limit 1) n;
  end if;
  return (select coalesce(jsonb_agg(row.value order by row.number desc), '[]') from (
    select v.number, jsonb_build_object(
      'hash', v.hash, 'project', v.project_id, 'number', v.number, 'action', v.action, 'sha256', v.sha256, 'size', v.size,
      'author', (select c.author_id from public.changes c where c.project_id = v.project_id and c.sequence = v.change_sequence),
      'merged_from', (select m.number from public.versions m where m.hash = v.merged_from),
      'restored_from', (select r.number from public.versions r where r.hash = v.restored_from),
      'copies', (
        select coalesce(jsonb_agg(jsonb_build_object('object', b.object_id, 'name', b.name, 'size', b.size)
                                  order by b.own desc, b.created_at desc, b.object_id), '[]')
        from (select *, x.object_id = v.object_id as own from public.blobs x
              where x.project_id = v.project_id and x.sha256 = v.sha256 and x.erased_at is null
              order by own desc, x.created_at desc, x.object_id limit 8) b),
      'runs', case when not ignore_kept then (select a.runs from public.attributions a where a.version = v.hash) end) as value
    from public.versions v
    where v.document_id = document and v.number between nearest and upto
    order by v.number desc limit private.page_rows(page_size)) row);
end
$$;
comment on function public.list_attributions is
  'A document''s versions from a number down to the nearest that has an attribution, newest first: what blame is computed from.';

-- How many lines a change added and removed, as far as it is kept: a part of the answers of migration 1000.

create function private.diffstat(project uuid, sequence bigint)
returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'added', case when count(*) = 0 then 0 else sum(k.added) end, 'removed', case when count(*) = 0 then 0 else sum(k.removed) end,
    'unknown', count(*) - count(k.added),
    'versions', coalesce(jsonb_agg(
      jsonb_build_object('version', k.hash, 'lines', k.lines, 'added', k.added, 'removed', k.removed) order by k.position), '[]'))
  from (
    select v.hash, v.position, case when v.action = 'delete' then 0 else a.lines end as lines,
           case when v.sha256 = b.sha256 then 0 when v.action = 'delete' then a.lines - a.lines else a.lines_added end as added,
           case when v.sha256 = b.sha256 then 0 when v.action = 'delete' then a.lines else a.lines_removed end as removed
    from public.versions v
    -- A delete removes the lines that the version before it has.
    left join public.attributions a on a.version = case when v.action = 'delete' then v.parent else v.hash end
    left join public.versions b on a.version is null and b.hash = v.parent
    where v.project_id = diffstat.project and v.change_sequence = diffstat.sequence) k
$$;
comment on function private.diffstat is
  '{added, removed, unknown, versions: [{version, lines, added, removed}]} of a change: numbers are null where they are not kept, sums are of those that are, unknown is how many versions have none.';

-- For a page of the log, so with a limit: a page costs what its changes cost, however many versions one of them has.
create function private.diffstats(project uuid, sequences bigint[])
returns table (sequence bigint, diffstat jsonb)
language sql stable
set search_path = ''
as $$
  select s.sequence, jsonb_build_object(
    'added', case when count(k.hash) = 0 then 0 else sum(k.added) end, 'removed', case when count(k.hash) = 0 then 0 else sum(k.removed) end,
    'unknown', count(k.hash) - count(k.added))
  from unnest(sequences) s (sequence)
  left join lateral (
    select v.hash, case when v.action = 'delete' then a.lines - a.lines else a.lines_added end as added,
           case when v.action = 'delete' then a.lines else a.lines_removed end as removed
    from public.versions v
    left join public.attributions a on a.version = case when v.action = 'delete' then v.parent else v.hash end
    where v.project_id = diffstats.project and v.change_sequence = s.sequence
    limit 21) k on true
  group by s.sequence
  having count(k.hash) <= 20
$$;
comment on function private.diffstats is '{added, removed, unknown} of changes as far as it is kept; none of a change of more than 20 versions.';

revoke execute on function public.store_attributions, public.read_blame, public.list_origins, public.list_attributions
  from public, anon, service_role;
grant execute on function public.store_attributions, public.read_blame, public.list_origins, public.list_attributions
  to authenticated;
revoke execute on all functions in schema private from public;
grant execute on function private.runs_of, private.diffstat, private.diffstats to authenticated;
