-- Where each line came from, kept with every version so that blame is one round trip. Derived data: whatever is
-- here can be computed again from the bytes, and whatever isn't here is (app/flows/blame.py). The database cannot
-- compare texts, so a row is the word of the version's own author, within limits that can be checked without
-- the bytes (docs/decisions/0008). It tells only what came from which of the versions that this one was made from:
-- a few numbers, however torn the document. Who wrote a line in the end is found by following the rows down to
-- the nearest version where the database has settled it, which it does for every 32nd.

create table public.attributions (
  version public.sha256_hex primary key references public.versions,
  project_id uuid not null references public.projects,
  lines integer not null constraint attributions_lines_positive check (lines >= 0),
  -- Triples, one after the other: the number of the version that the lines are from (this one, or one that it
  -- was made from), the number of the first of them there, how many. Numbers instead of hashes: they can't leave
  -- the document.
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

comment on table public.attributions is 'Where each line of a version came from. Derived from the bytes, said by the version''s author, never changed.';
comment on column public.attributions.version is 'The version.';
comment on column public.attributions.project_id is 'The project.';
comment on column public.attributions.lines is 'How many lines the version has; only a newline ends one.';
comment on column public.attributions.runs is 'Triples: number of the version that the lines are from, itself or one that it was made from; first line there from 1; how many.';
comment on column public.attributions.lines_added is 'Lines that the version before doesn''t have; null where it wasn''t computed.';
comment on column public.attributions.lines_removed is 'Lines of the version before that this one doesn''t have; null where it wasn''t computed.';

create table public.settled_attributions (
  version public.sha256_hex primary key references public.versions,
  project_id uuid not null references public.projects,
  runs integer[] not null
);
create index settled_attributions_project_id_idx on public.settled_attributions (project_id);
alter table public.settled_attributions enable row level security;

comment on table public.settled_attributions is 'Who wrote each line in the end, for every 32nd version of a document: so that no blame follows more than 31 rows. Made by the database from attributions.';
comment on column public.settled_attributions.version is 'The version.';
comment on column public.settled_attributions.project_id is 'The project.';
comment on column public.settled_attributions.runs is 'Triples: number of the version of the document that wrote the lines, first line there from 1, how many.';

create policy "members read the attributions of their projects" on public.attributions
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read the settled attributions of their projects" on public.settled_attributions
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.attributions, public.settled_attributions from anon, authenticated, service_role;
grant select on public.attributions, public.settled_attributions to authenticated, service_role;
create trigger attributions_are_history before update or delete on public.attributions
  for each row execute function private.refuse_rewrite();
create trigger attributions_are_kept before truncate on public.attributions
  for each statement execute function private.refuse_rewrite();
create trigger settled_attributions_are_history before update or delete on public.settled_attributions
  for each row execute function private.refuse_rewrite();
create trigger settled_attributions_are_kept before truncate on public.settled_attributions
  for each statement execute function private.refuse_rewrite();

-- Lines as numbers: the version's in the upper half, the line's in the lower. So a run counts up by one.
create function private.lines_in(runs integer[])
returns bigint[]
language sql immutable
set search_path = ''
as $$
  select array(
    select (runs[i]::bigint << 32) + g
    from generate_series(1, cardinality(runs), 3) i cross join lateral generate_series(runs[i + 1], runs[i + 1] + runs[i + 2] - 1) g
    order by i, g)
$$;
comment on function private.lines_in is 'The lines of runs, one by one: version * 2^32 + line.';

create function private.runs_in(lines bigint[])
returns table (first integer, origin integer, line integer, lines integer)
language sql immutable
set search_path = ''
as $$
  select s.n::integer, (s.code >> 32)::integer, (s.code & 4294967295)::integer,
         (lead(s.n, 1, cardinality($1) + 1::bigint) over (order by s.n) - s.n)::integer
  from (select u.n, u.code, u.code is distinct from lag(u.code) over (order by u.n) + 1 as starts
        from unnest($1) with ordinality u (code, n)) s
  where s.starts
$$;
comment on function private.runs_in is 'Lines as runs, with the place of each from 1.';

create function private.lines_of(document uuid, version text, nested boolean default false)
returns bigint[]
language plpgsql stable
set search_path = ''
as $$
declare
  step record;
  before integer;
  held bigint[];  -- the lines of version number `before`
  other bigint[];
  elsewhere integer;
  runs integer[];  -- of the step: a field of a row would be unpacked anew at each look into it
begin
  for step in
    with recursive chain as (
      select 0 as depth, null::integer as number, null::integer as lines, null::integer[] as runs, null::integer[] as settled,
             (select x.number from public.versions x where x.hash = lines_of.version and x.document_id = lines_of.document) as source
      union all
      -- Each by its key, whatever the tables were like when this was planned.
      select c.depth + 1, c.source, k.lines, k.runs, (select s.runs from public.settled_attributions s where s.version = k.version),
             (select max(u.x) from unnest(k.runs) with ordinality u (x, n) where u.n % 3 = 1 and u.x <> c.source)
      from chain c
      left join lateral (
        select a.* from public.attributions a where a.version = (
          select x.hash from public.versions x where x.document_id = lines_of.document and x.number = c.source)
        offset 0) k on true
      where c.source is not null and c.settled is null and c.depth < 200
    )
    select * from chain where chain.depth > 0 order by chain.depth desc
  loop
    if step.settled is not null then
      runs := step.settled;
      held := private.lines_in(runs);
    elsif step.runs is null or step.lines > 200000 or (before is null and step.source is not null) then
      return null;
    elsif step.runs is distinct from array[before, 1, cardinality(held)] then
      runs := step.runs;
      select max(u.x) into elsewhere from unnest(runs) with ordinality u (x, n)
      where u.n % 3 = 1 and u.x <> step.number and u.x is distinct from before;
      other := null;
      if elsewhere is not null then
        if nested then
          return null;
        end if;
        other := private.lines_of(document, (
          select x.hash from public.versions x where x.document_id = lines_of.document and x.number = elsewhere), true);
      end if;
      -- All at once: put together run by run, a torn text of many lines takes minutes.
      held := array(
        select case when runs[i] = step.number then (step.number::bigint << 32) + runs[i + 1] + g
                    when runs[i] = before then held[runs[i + 1] + g] else other[runs[i + 1] + g] end
        from generate_series(1, cardinality(runs), 3) i cross join lateral generate_series(0, runs[i + 2] - 1) g
        order by i, g);
    end if;
    if cardinality(held) is distinct from step.lines or array_position(held, null) is not null then
      return null;
    end if;
    before := step.number;
  end loop;
  return held;
end
$$;
comment on function private.lines_of is
  'Who wrote each line of a version in the end, as private.lines_in has them. Null where a row is missing, more than 200 would be followed, lines are more than 200,000, or merges lie within merges.';

-- What can be said against an attribution without the bytes.
create function private.attribution_problem(v public.versions, given integer[], added integer, removed integer)
returns text
language plpgsql stable
set search_path = ''
as $$
declare
  total bigint := 0;
  spot integer;
  line bigint;  -- bigint: nothing may overflow on numbers that were made up
  many bigint;
  numbers integer[];
  lengths bigint[];
  free bigint[];
  before integer;
begin
  if v.sha256 is null then
    return 'A delete has no lines.';
  end if;
  if given is null or cardinality(given) % 3 <> 0 or array_position(given, null) is not null or array_ndims(given) > 1 then
    return 'Runs are triples of numbers.';
  end if;
  -- Lines of others come through a version that this one was made from; a line is a byte at least.
  select array_agg(x.number), array_agg(coalesce((select a.lines from public.attributions a where a.version = x.hash), x.size, 0)), array_agg(1)
  into numbers, lengths, free
  from public.versions x where x.hash = any (array[
    case when v.action not in ('add', 'restore') then v.parent end, v.merged_from, v.restored_from]::text[]);
  for i in 1 .. cardinality(given) by 3 loop
    line := given[i + 1];
    many := given[i + 2];
    spot := array_position(numbers, given[i]);
    if line < 1 or many < 1 or given[i] = v.number and line <> total + 1
      or given[i] <> v.number and (spot is null or line < free[spot] or line + many - 1 > lengths[spot]) then
      return 'Lines are the version''s own, and where they are; or of a version that it was made from, each once and in order.';
    end if;
    if spot is not null then
      free[spot] := line + many;
    end if;
    total := total + many;
  end loop;
  if total > least(v.size, 2147483647) or (total = 0) <> (v.size = 0) then
    return 'The runs cannot be those of a version of that size.';
  end if;
  if added is not null or removed is not null then
    select a.lines into before from public.attributions a where a.version = v.parent;
    if (added is null) <> (removed is null) or added not between 0 and total or removed < 0 or total - added <> before - removed then
      return 'The numbers of lines added and removed don''t fit those of the two versions.';
    end if;
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
  me uuid := private.caller();  -- nobody, where a token outlived its account or its agent's session
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
        where c.project_id = v.project_id and c.sequence = v.change_sequence and c.author_id = me)
      or not exists (select from public.members m where m.project_id = v.project_id and m.user_id = me) then
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
    values (v.hash, v.project_id, (select coalesce(sum(given[i]), 0) from generate_series(3, cardinality(given), 3) i), given,
      (item ->> 'added')::integer, (item ->> 'removed')::integer)
    on conflict do nothing;
    if found then
      stored := stored + 1;
      if v.number % 32 = 0 then
        insert into public.settled_attributions (version, project_id, runs)
        select v.hash, v.project_id, array(
          select u.x from private.runs_in(l.lines) r cross join lateral unnest(array[r.origin, r.line, r.lines]) with ordinality u (x, n)
          order by r.first, u.n)
        from (select private.lines_of(v.document_id, v.hash) as lines) l where l.lines is not null
        on conflict do nothing;
      end if;
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
  'Keeps where each line of the caller''s own versions came from: [{version, runs, added, removed}], oldest first. {stored}: how many were new.';

-- Blame in one round trip: the wanted lines as runs, and the versions that they name.
create function public.read_blame(document uuid, at text default null, first_line integer default 1, last_line integer default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target text := private.version_at(document, at);
  lines bigint[] := private.lines_of(document, target);
  wanted bigint[] := lines[greatest(first_line, 1) : least(last_line, cardinality(lines))];
begin
  return jsonb_build_object(
    'read', private.version_answer(target),
    'lines', cardinality(lines),
    'runs', case when lines is not null then (
      select coalesce(jsonb_agg(jsonb_build_array(r.first + greatest(first_line, 1) - 1, r.origin, r.line, r.lines) order by r.first), '[]')
      from private.runs_in(wanted) r) end,
    'origins', case when lines is not null then public.list_origins(document, array(
      select distinct (u.code >> 32)::integer from unnest(wanted) u (code))) end);
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
    'author', c.author, 'actor', c.actor, 'agent', c.agent, 'author_name', c.author_name, 'origin', c.origin,
    'authored_at', c.authored_at, 'committed_at', c.committed_at,
    'summary', left(split_part(c.message, E'\n', 1), 200)) order by v.number), '[]')
  from public.versions v
  join public.change_details c on c.project = v.project_id and c.sequence = v.change_sequence
  where v.document_id = list_origins.document and v.number = any (numbers)
$$;
comment on function public.list_origins is 'Versions of a document as blame names them: the message is its first line, at most 200 characters.';

-- For computing what isn't kept: versions from a number down to the nearest one that is settled.
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
      select v.number from public.versions v
      where v.document_id = document and v.number <= upto and v.number % 32 = 0
        and exists (select from public.settled_attributions s where s.version = v.hash)
      order by v.number desc limit 1) n;
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
      'runs', case when not ignore_kept then (select a.runs from public.attributions a where a.version = v.hash) end,
      'settled', case when not ignore_kept then (select s.runs from public.settled_attributions s where s.version = v.hash) end) as value
    from public.versions v
    where v.document_id = document and v.number between nearest and upto
    order by v.number desc limit private.page_rows(page_size)) row);
end
$$;
comment on function public.list_attributions is
  'A document''s versions from a number down to the nearest that is settled, newest first, with what is kept of each: what blame is computed from.';

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
-- With its owner's rights, and the caller asked once.
create function private.diffstats(project uuid, sequences bigint[])
returns table (sequence bigint, diffstat jsonb)
language plpgsql stable security definer
set search_path = ''
as $$
begin
  if not exists (select from private.my_memberships m where m.project_id = diffstats.project) then
    return;
  end if;
  return query
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
    having count(k.hash) <= 20;
end
$$;
comment on function private.diffstats is '{added, removed, unknown} of changes as far as it is kept; none of a change of more than 20 versions.';

revoke execute on function public.store_attributions, public.read_blame, public.list_origins, public.list_attributions
  from public, anon, service_role;
grant execute on function public.store_attributions, public.read_blame, public.list_origins, public.list_attributions
  to authenticated;
revoke execute on all functions in schema private from public;
grant execute on function private.lines_in, private.runs_in, private.lines_of, private.diffstat, private.diffstats to authenticated;
