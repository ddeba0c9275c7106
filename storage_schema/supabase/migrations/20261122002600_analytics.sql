-- Analytics: what docs/analytics.md defines, kept in the same transaction as what it counts.
--
--   facts      what rows come to: so many of a figure on a day, of a stage, by a kind of actor. The definitions are in
--              stage_facts, version_facts and comment_facts, and nowhere else
--   rollups    sums of facts by day, week, month and year: analytics_counts, analytics_times, analytics_contested
--   triggers   a new row takes away the facts that held without it and adds those that hold with it
--   rebuild    the same facts of everything, counted anew
--
-- Facts are changed under the project's lock only, which whoever writes a change, a report or a comment holds.

-- `level` and `slice` are texts, because row security holds the comparison of an enum for leaky: it would come after the
-- policy, and not in the look into the index.

create type public.analytics_time as enum ('lead_time', 'session_lead_time', 'waiting_time', 'resolution_time');
comment on type public.analytics_time is 'Times that are measured.';

create table public.analytics_counts (
  project_id uuid not null references public.projects,
  level text collate "C" not null constraint analytics_counts_level_known check (level in ('day', 'week', 'month', 'year')),
  start date not null,
  stage public.stage,
  actor public.actor_kind not null,
  changes bigint not null default 0,
  versions bigint not null default 0,
  merges bigint not null default 0,
  restores bigint not null default 0,
  rework_versions bigint not null default 0,
  stages_started bigint not null default 0,
  stages_left bigint not null default 0,
  stages_completed bigint not null default 0,
  stages_skipped bigint not null default 0,
  stages_failed bigint not null default 0,
  stages_reopened bigint not null default 0,
  stages_returned_to bigint not null default 0,
  sessions_completed bigint not null default 0,
  validations bigint not null default 0,
  validations_passed bigint not null default 0,
  checks bigint not null default 0,
  errors bigint not null default 0,
  warnings bigint not null default 0,
  requires_input bigint not null default 0,
  threads_opened bigint not null default 0,
  threads_reopened bigint not null default 0,
  threads_resolved bigint not null default 0,
  approvals bigint not null default 0,
  changes_requested bigint not null default 0,
  id uuid primary key default gen_random_uuid()
) with (fillfactor = 50);  -- today's rows are updated by every change: leave room for HOT updates
create unique index analytics_counts_key on public.analytics_counts (project_id, level, start, stage, actor) nulls not distinct;
alter table public.analytics_counts enable row level security;

comment on table public.analytics_counts is 'How much there was of each figure, by day, week, month and year. Derived: docs/analytics.md says from what.';
comment on column public.analytics_counts.project_id is 'The project.';
comment on column public.analytics_counts.id is 'A name for the row: its key has nulls, which a primary key can''t.';
comment on column public.analytics_counts.level is 'Whether it sums up a day, a week from Monday on, a month or a year, in UTC.';
comment on column public.analytics_counts.start is 'The first day of it.';
comment on column public.analytics_counts.stage is 'The stage, or null for what belongs to none.';
comment on column public.analytics_counts.actor is 'Whose it is: a person''s, an agent''s, an import''s.';
comment on column public.analytics_counts.changes is 'Changes that hold a version, with the stage of their first.';
comment on column public.analytics_counts.versions is 'Versions, of every action.';
comment on column public.analytics_counts.merges is 'Versions that took another one in.';
comment on column public.analytics_counts.restores is 'Versions that brought an earlier one back.';
comment on column public.analytics_counts.rework_versions is 'Versions of a stage that was complete.';
comment on column public.analytics_counts.stages_started is 'Times that a stage came into progress.';
comment on column public.analytics_counts.stages_left is 'Times that a stage was in progress no more, counted for who had begun it.';
comment on column public.analytics_counts.stages_completed is 'Times that a stage was completed.';
comment on column public.analytics_counts.stages_skipped is 'Times that a stage was skipped.';
comment on column public.analytics_counts.stages_failed is 'Times that a stage failed.';
comment on column public.analytics_counts.stages_reopened is 'Passes that started after an earlier one had ended.';
comment on column public.analytics_counts.stages_returned_to is 'Those of them that started when a later stage had begun.';
comment on column public.analytics_counts.sessions_completed is 'Sessions completed, each once.';
comment on column public.analytics_counts.validations is 'Reports with a validation.';
comment on column public.analytics_counts.validations_passed is 'Validations without an error or a question.';
comment on column public.analytics_counts.checks is 'Checks that validations made.';
comment on column public.analytics_counts.errors is 'Errors that they found.';
comment on column public.analytics_counts.warnings is 'Warnings that they gave.';
comment on column public.analytics_counts.requires_input is '[REQUIRES INPUT] marks that they counted.';
comment on column public.analytics_counts.threads_opened is 'Threads of comments begun.';
comment on column public.analytics_counts.threads_reopened is 'Threads opened again.';
comment on column public.analytics_counts.threads_resolved is 'Threads resolved.';
comment on column public.analytics_counts.approvals is 'Reviews that approve.';
comment on column public.analytics_counts.changes_requested is 'Reviews that request changes.';

-- A histogram is one row, and it is kept apart by each of what one can ask for, not by all of it at once: whatever is asked,
-- nothing is read that isn't told. Its counts are kept summed up, so how many are not longer than some time is one look.
create table public.analytics_times (
  project_id uuid not null references public.projects,
  slice text collate "C" not null constraint analytics_times_slice_known check (slice in ('all', 'stage', 'actor')),
  level text collate "C" not null constraint analytics_times_level_known check (level in ('day', 'week', 'month', 'year')),
  start date not null,
  figure public.analytics_time not null,
  stage public.stage,
  actor public.actor_kind,
  n bigint not null,
  milliseconds bigint not null,
  buckets integer[] not null,
  upto integer[] not null,
  -- Where a histogram is the whole answer, as a week by itself is, nobody has to walk through it.
  p50 integer generated always as (buckets[1 + width_bucket((ceil(n * 0.5) - 1)::integer, upto)]) stored,
  p90 integer generated always as (buckets[1 + width_bucket((ceil(n * 0.9) - 1)::integer, upto)]) stored,
  id uuid primary key default gen_random_uuid()
) with (fillfactor = 80);
create unique index analytics_times_key
  on public.analytics_times (project_id, slice, level, start, figure, stage, actor) nulls not distinct;
alter table public.analytics_times enable row level security;

comment on table public.analytics_times is 'Histograms of times, by day, week, month and year. Derived.';
comment on column public.analytics_times.project_id is 'The project.';
comment on column public.analytics_times.id is 'A name for the row.';
comment on column public.analytics_times.slice is 'What it is apart by.';
comment on column public.analytics_times.level is 'Whether it sums up a day, a week from Monday on, a month or a year, in UTC.';
comment on column public.analytics_times.start is 'The first day of it.';
comment on column public.analytics_times.figure is 'What was measured.';
comment on column public.analytics_times.stage is 'In slices by stage: the stage, or null for what belongs to none.';
comment on column public.analytics_times.actor is 'In slices by actor: whose it is.';
comment on column public.analytics_times.n is 'How many times.';
comment on column public.analytics_times.milliseconds is 'Their sum.';
comment on column public.analytics_times.buckets is 'Which buckets there are any in (private.time_bucket), in order.';
comment on column public.analytics_times.upto is 'How many there are in each of those and all before it.';
comment on column public.analytics_times.p50 is 'The bucket of the middle one.';
comment on column public.analytics_times.p90 is 'The bucket of the one that nine tenths of them are not longer than.';

create table public.analytics_contested (
  project_id uuid not null references public.projects,
  day date not null,
  document_id uuid not null references public.documents,
  handovers bigint not null default 0,
  merges bigint not null default 0,
  primary key (project_id, day, document_id)
) with (fillfactor = 80);
create index analytics_contested_document_idx on public.analytics_contested (document_id);
alter table public.analytics_contested enable row level security;

comment on table public.analytics_contested is 'Documents that more than one wrote, by day. Derived.';
comment on column public.analytics_contested.project_id is 'The project.';
comment on column public.analytics_contested.day is 'The day, in UTC.';
comment on column public.analytics_contested.document_id is 'The document.';
comment on column public.analytics_contested.handovers is 'Versions by another writer than that of the version before.';
comment on column public.analytics_contested.merges is 'Versions that took another one in.';

create policy "members read the counts of their projects" on public.analytics_counts
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read the times of their projects" on public.analytics_times
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read what is contested in their projects" on public.analytics_contested
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.analytics_counts, public.analytics_times, public.analytics_contested from anon, authenticated, service_role;
grant select on public.analytics_counts, public.analytics_times, public.analytics_contested to authenticated, service_role;

-- The longest unchanged are found without reading the others. By the project's text: on tables without statistics, as new
-- ones are, an index that begins as the paths' does is taken for theirs, and a change of 10,000 documents takes a minute.
create index documents_stale_idx on public.documents ((project_id::text), head_sequence) where live;

-- While a project is put back or counted anew, in that transaction, triggers leave its rollups alone. Nobody else ever
-- sees such a row: it is gone before the transaction ends.
create table private.rollup_pauses (project_id uuid primary key);
alter table private.rollup_pauses enable row level security;
create policy "nobody but the functions below" on private.rollup_pauses using (false);
comment on table private.rollup_pauses is 'Projects whose rollups are counted anew in this transaction.';
comment on column private.rollup_pauses.project_id is 'The project.';

-- Facts ---------------------------------------------------------------------------------------------

create type private.fact as (
  project_id uuid,
  day date,
  stage public.stage,
  actor public.actor_kind,
  figure text,
  document_id uuid,
  bucket integer,
  n bigint,
  milliseconds bigint
);
comment on type private.fact is
  'So many of a figure on a day. One with a bucket is a time of that figure; one with a document counts towards what is contested.';

-- As HdrHistogram, 64 steps in each doubling: no bucket is wider than 1/64 of what is in it.
create function private.time_bucket(milliseconds bigint)
returns integer
language plpgsql immutable
set search_path = ''
as $$
declare
  shift integer;
begin
  if milliseconds < 128 then
    return milliseconds;
  end if;
  shift := length(ltrim(milliseconds::bit(64)::text, '0')) - 7;
  return 64 * shift + (milliseconds >> shift)::integer;
end
$$;
comment on function private.time_bucket is 'The bucket of a time: of v milliseconds v below 128, else 64 s + (v >> s) with s = floor(log2 v) - 6.';

create function private.bucket_seconds(bucket integer)
returns numeric
language plpgsql immutable
set search_path = ''
as $$
declare
  shift integer := greatest(bucket / 64 - 1, 0);
begin
  if shift = 0 then
    return round(bucket / 1000.0, 3);
  end if;
  return round((((bucket - 64 * shift)::bigint << shift) + (1::bigint << (shift - 1))) / 1000.0, 3);
end
$$;
comment on function private.bucket_seconds is 'The middle of a bucket, in seconds.';
grant execute on function private.bucket_seconds to authenticated;

create function private.milliseconds_between(earlier timestamptz, later timestamptz)
returns bigint
language plpgsql immutable
set search_path = ''
as $$
begin
  -- Never below zero: a clock that was set back between two comments makes no time negative.
  return greatest(floor(extract(epoch from later - earlier) * 1000), 0);
end
$$;
comment on function private.milliseconds_between is 'Whole milliseconds from one moment to a later one.';

create function private.writer(account uuid, attributed_to uuid, origin_id text, author_email text, author_name text)
returns text
language plpgsql immutable
set search_path = ''
as $$
begin
  return case when origin_id is null then account::text
              else coalesce(attributed_to::text, lower(author_email), author_name, account::text) end;
end
$$;
comment on function private.writer is 'Who wrote a change: the account; of an imported one whom it is attributed to, or what its origin calls them.';
grant execute on function private.writer to authenticated;

-- All that reports of stages come to, of whole sessions: a report in the past moves what comes after it. `without` are
-- reports that are not there yet. With `among`, as if these reports were all that the sessions have.
create function private.stage_facts(sessions uuid[], without uuid[], among uuid[] default null)
returns setof private.fact
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
begin
  return query
  with reports as (
    select e.project_id, e.session_id, e.stage, e.number, e.state, e.actor, e.started_at, e.finished_at, e.at,
           e.checks, e.errors, e.warnings, e.requires_input,
           coalesce(lag(e.state) over way, 'pending') as prior,
           count(*) filter (where e.state in ('complete', 'skipped')) over before_it as pass,
           max(e.at) filter (where e.state in ('complete', 'skipped')) over before_it as ended
    from (select s.* from public.stage_events s where among is null and s.session_id = any (sessions)
          union all select s.* from public.stage_events s where s.id = any (among)) e
    where e.id <> all (without)
    window way as (partition by e.session_id, e.stage order by e.at, e.number),
           before_it as (way rows between unbounded preceding and 1 preceding)
  ), steps as (
    select r.*,
           r.state = 'in_progress' and r.prior <> 'in_progress' as starts,
           r.prior = 'in_progress' and r.state <> 'in_progress' as leaves,
           r.state = 'complete' and r.prior <> 'complete' as completes,
           count(*) filter (where r.state = 'in_progress') over in_pass = 0 as at_once,
           row_number() over (partition by r.session_id, r.stage, r.pass, r.state = 'in_progress' order by r.at, r.number) as nth,
           max(r.stage) filter (where r.state in ('in_progress', 'complete', 'failed')) over (
             of_session rows between unbounded preceding and 1 preceding) as furthest,
           sum((r.state in ('complete', 'skipped'))::integer - (r.prior in ('complete', 'skipped'))::integer) over of_session as settled,
           sum((r.state = 'complete')::integer - (r.prior = 'complete')::integer) over of_session as complete
    from reports r
    window in_pass as (partition by r.session_id, r.stage, r.pass),
           of_session as (partition by r.session_id order by r.at, r.number)
  ), runs as (
    select s.*, count(*) filter (where s.starts) over (partition by s.session_id, s.stage order by s.at, s.number) as run,
           -- When the pass started and the stage was completed, on the reports that say so: by the reporter's word, if it
           -- has one. What is said to be after the report is not believed.
           case when s.state = 'in_progress' and s.nth = 1 or s.completes and s.at_once and s.started_at is not null
                then least(s.started_at, s.at) end as start,
           least(s.finished_at, s.at) as done
    from steps s
  ), whose as (
    select r.*, first_value(r.actor) over (partition by r.session_id, r.stage, r.run order by r.at, r.number) as beginner,
           min(r.start) over (partition by r.session_id, r.stage, r.pass) as pass_start,
           min(r.start) over (partition by r.session_id) as session_start
    from runs r
  ), moments as (
    -- Completions come before starts of the same moment: what was handed over may start at once.
    select w.project_id, w.session_id, w.stage, w.actor, w.at, w.number, w.done as moment, 0 as turn, null::timestamptz as ended
    from whose w where w.completes
    union all
    select w.project_id, w.session_id, w.stage, w.actor, w.at, w.number, w.start, 1, w.ended from whose w where w.start is not null
  ), handed as (
    select m.*, greatest(
        case when m.stage > 'intent' then max(m.moment) filter (where m.turn = 0 and m.stage = 'intent') over past end,
        case when m.stage > 'context' then max(m.moment) filter (where m.turn = 0 and m.stage = 'context') over past end,
        case when m.stage > 'spec' then max(m.moment) filter (where m.turn = 0 and m.stage = 'spec') over past end,
        case when m.stage > 'plan' then max(m.moment) filter (where m.turn = 0 and m.stage = 'plan') over past end,
        case when m.stage > 'tasks' then max(m.moment) filter (where m.turn = 0 and m.stage = 'tasks') over past end,
        case when m.stage > 'implementation' then max(m.moment) filter (where m.turn = 0 and m.stage = 'implementation') over past end
      ) as over_at
    from moments m
    window past as (partition by m.session_id order by m.moment, m.turn, m.number rows between unbounded preceding and current row)
  ), completed as (
    select distinct on (w.session_id) w.project_id, w.session_id, w.at, w.done, w.actor, w.session_start
    from whose w where w.settled = 7 and w.complete > 0 order by w.session_id, w.at, w.number
  ), times as (
    select w.project_id, w.at, w.stage, w.actor, 'lead_time' as figure, private.milliseconds_between(w.pass_start, w.done) as taken
    from whose w where w.completes and w.pass_start <= w.done
    union all
    select c.project_id, c.at, null, c.actor, 'session_lead_time', private.milliseconds_between(c.session_start, c.done)
    from completed c where c.session_start <= c.done
    union all
    select h.project_id, h.at, h.stage, h.actor, 'waiting_time', private.milliseconds_between(h.over_at, h.moment)
    from handed h where h.turn = 1 and h.over_at >= coalesce(h.ended, '-infinity')
  ), counts as (
    select w.project_id, w.at, w.stage, f.actor, f.figure, f.n
    from whose w cross join lateral (values
      ('stages_started', w.actor, w.starts::integer::bigint),
      ('stages_left', w.beginner, w.leaves::integer),
      ('stages_completed', w.actor, w.completes::integer),
      ('stages_skipped', w.actor, (w.state = 'skipped' and w.prior <> 'skipped')::integer),
      ('stages_failed', w.actor, (w.state = 'failed' and w.prior <> 'failed')::integer),
      ('validations', w.actor, (w.checks is not null)::integer),
      ('validations_passed', w.actor, (w.errors = 0 and w.requires_input = 0)::integer),
      ('checks', w.actor, w.checks), ('errors', w.actor, w.errors), ('warnings', w.actor, w.warnings),
      ('requires_input', w.actor, w.requires_input)) f (figure, actor, n)
    where f.n <> 0
    union all
    select w.project_id, w.at, w.stage, w.actor, f.figure, 1
    from whose w cross join lateral (values ('stages_reopened', true), ('stages_returned_to', coalesce(w.furthest > w.stage, false))) f (figure, so)
    where w.start is not null and w.pass > 0 and f.so
    union all
    select c.project_id, c.at, null, c.actor, 'sessions_completed', 1 from completed c
  )
  select c.project_id, (c.at at time zone 'UTC')::date, c.stage, c.actor, c.figure, null::uuid, null::integer, c.n, 0::bigint from counts c
  union all
  select t.project_id, (t.at at time zone 'UTC')::date, t.stage, t.actor, t.figure, null, private.time_bucket(t.taken), 1, t.taken
  from times t;
end
$$;
comment on function private.stage_facts is 'What the stage reports of sessions come to, as if some of them were not there.';

-- What a report is looked at together with. Nearly all are the newest of their session, in every respect: no other was late,
-- none is of a later moment, what it says of its start and end comes after what the other stages said. Such a report adds its own facts
-- and changes no others, and these rest on a few reports, however many there are: of its stage the newest, the last that
-- ended a pass, the first in progress since then, and the beginning of the last run with what stood before it; of the stages before it the
-- latest completion; of those after it one that shows that they were begun. All else stands on both sides of the
-- difference and cancels out. A report that isn't so, or that settles the last stage of its session, is looked at with all.
create index stage_events_state_idx on public.stage_events (session_id, stage, state, at, number);
create index stage_events_done_idx on public.stage_events (session_id, stage, (least(finished_at, at))) where state = 'complete';
create index stage_events_late_idx on public.stage_events (session_id) where late;

create function private.facts_rest_on(report public.stage_events)
returns uuid[]
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  others_at timestamptz;
  later_at timestamptz;
  ended public.stage_events;
  first_work public.stage_events;
  break public.stage_events;
  beginning uuid;
  start timestamptz;
  needed uuid[];
begin
  select max(s.at), max(s.at) filter (where s.stage > report.stage) into others_at, later_at from public.stages s
  where s.project_id = report.project_id and s.session_id = report.session_id and s.stage <> report.stage and s.report is not null;
  if report.at < others_at
    or exists (select from public.stage_events e where e.session_id = report.session_id and e.late)
    or not exists (select from public.stages s where s.project_id = report.project_id and s.session_id = report.session_id
                   and s.state not in ('complete', 'skipped')) then
    return null;
  end if;
  select e.* into ended from unnest('{complete,skipped}'::public.stage_state[]) x (state)
  cross join lateral (
    select * from public.stage_events e
    where e.session_id = report.session_id and e.stage = report.stage and e.state = x.state and (e.at, e.number) < (report.at, report.number)
    order by e.at desc, e.number desc limit 1) e
  order by e.at desc, e.number desc limit 1;
  select * into first_work from public.stage_events e
  where e.session_id = report.session_id and e.stage = report.stage and e.state = 'in_progress'
    and (e.at, e.number) < (report.at, report.number) and (ended.id is null or (e.at, e.number) > (ended.at, ended.number))
  order by e.at, e.number limit 1;
  if first_work.id is null and (report.state = 'in_progress' or report.state = 'complete' and report.started_at is not null) then
    start := least(report.started_at, report.at);
  end if;
  if start <= others_at and start < report.at or start < ended.at
    or report.state = 'complete' and least(report.finished_at, report.at) <= later_at then
    return null;
  end if;
  select e.* into break from unnest('{pending,complete,failed,skipped}'::public.stage_state[]) x (state)
  cross join lateral (
    select * from public.stage_events e
    where e.session_id = report.session_id and e.stage = report.stage and e.state = x.state and (e.at, e.number) < (report.at, report.number)
    order by e.at desc, e.number desc limit 1) e
  order by e.at desc, e.number desc limit 1;
  select e.id into beginning from public.stage_events e
  where e.session_id = report.session_id and e.stage = report.stage and e.state = 'in_progress'
    and (e.at, e.number) < (report.at, report.number) and (break.id is null or (e.at, e.number) > (break.at, break.number))
  order by e.at, e.number limit 1;
  needed := array[report.id, ended.id, first_work.id, break.id, beginning]
    -- Its own stage's row tells of this report already: `break` or `beginning` is of the same state as the one before it.
    || array(select s.report from public.stages s where s.project_id = report.project_id and s.session_id = report.session_id)
    || array(
      select (select e.id from public.stage_events e
              where e.session_id = report.session_id and e.stage = s and e.state = 'complete'
              order by least(e.finished_at, e.at) desc limit 1)
      from unnest(enum_range(null::public.stage)) s where s < report.stage)
    || array(
      select (select e.id from public.stage_events e
              where e.session_id = report.session_id and e.stage = s and e.state = x limit 1)
      from unnest(enum_range(null::public.stage)) s, unnest('{in_progress,complete,failed}'::public.stage_state[]) x where s > report.stage);
  return array(select distinct n from unnest(needed) n where n is not null);
end
$$;
comment on function private.facts_rest_on is 'The few reports that decide what the newest one of a session comes to; null when all of them may.';

-- Where paths lie, by the sessions there are but one.
create function private.stages_of_paths(project uuid, paths text[], without_session uuid)
returns table (path text, session_id uuid, stage public.stage)
language plpgsql stable
set search_path = ''
as $$
begin
  return query
  select p.path, s.id, private.stage_of(p.path, s.root)
  from (select distinct u.path from unnest(paths) u (path)) p
  left join lateral (
    select s.id, s.root from public.sessions s
    where s.project_id = project and s.root = any (private.folders_of(p.path)) and s.id is distinct from without_session
    order by octet_length(s.root) desc limit 1) s on true;
end
$$;
comment on function private.stages_of_paths is 'The session and stage of each path, as if one session were not there.';

create function private.version_facts(project uuid, documents uuid[], without_session uuid default null)
returns setof private.fact
language plpgsql stable
set search_path = ''
as $$
begin
  return query
  with written as materialized (
    select v.document_id, v.path::text as path, v.position, v.merged_from is not null as merged, v.action, c.actor, c.committed_at,
           private.writer(c.author_id, c.attributed_to, c.origin_id, c.author_email, c.author_name) as writer, v.number
    from public.versions v
    join public.changes c on c.project_id = v.project_id and c.sequence = v.change_sequence
    where v.document_id = any (documents)
  ), passed_on as (
    select w.*, lag(w.writer) over (partition by w.document_id order by w.number) <> w.writer as handed_over from written w
  ), placed as materialized (
    select w.*, (w.committed_at at time zone 'UTC')::date as day, h.stage, h.stage is not null and coalesce((
        select e.state = 'complete' from public.stage_events e
        where e.session_id = h.session_id and e.stage = h.stage and e.at <= w.committed_at
        order by e.at desc, e.number desc limit 1), false) as late
    from passed_on w
    left join private.stages_of_paths(project, array(select distinct x.path from written x), without_session) h on h.path = w.path
  )
  select project, p.day, p.stage, p.actor, f.figure, null::uuid, null::integer, count(*), 0::bigint
  from placed p cross join lateral (values
    ('versions', true), ('changes', p.position = 1), ('merges', p.merged), ('restores', p.action = 'restore'), ('rework_versions', p.late)) f (figure, so)
  where f.so group by p.day, p.stage, p.actor, f.figure
  union all
  select project, p.day, null, null, f.figure, p.document_id, null, count(*), 0
  from placed p cross join lateral (values ('handovers', p.handed_over), ('merges', p.merged)) f (figure, so)
  where f.so group by p.day, f.figure, p.document_id;
end
$$;
comment on function private.version_facts is 'What the versions of documents come to, as if one session were not there.';

create function private.comment_facts(project uuid, documents uuid[], without_session uuid default null)
returns setof private.fact
language plpgsql stable
set search_path = ''
as $$
begin
  return query
  with happened as materialized (
    select c.version, c.actor, 'threads_opened' as figure, c.created_at as at, null::timestamptz as since
    from public.comments c where c.document_id = any (documents) and c.thread_id = c.id
    union all
    select c.version, c.actor, case a.act when 'resolve' then 'threads_resolved' else 'threads_reopened' end, a.created_at,
           case when a.act = 'resolve' then coalesce(lag(a.created_at) over (partition by c.id order by a.sequence), c.created_at) end
    from public.comments c join public.comment_acts a on a.comment_id = c.id and a.act in ('resolve', 'reopen')
    where c.document_id = any (documents)
    union all
    select r.version, r.actor, case r.verdict when 'approve' then 'approvals' else 'changes_requested' end, r.created_at, null
    from public.versions v join public.reviews r on r.version = v.hash
    where v.document_id = any (documents) and r.verdict in ('approve', 'request_changes')
  ), placed as (
    select h.actor, h.figure, h.since, h.at, (h.at at time zone 'UTC')::date as day, s.stage
    from happened h join public.versions v on v.hash = h.version
    left join private.stages_of_paths(project, array(
      select distinct x.path::text from happened y join public.versions x on x.hash = y.version), without_session) s on s.path = v.path
  )
  select project, p.day, p.stage, p.actor, p.figure, null::uuid, null::integer, 1::bigint, 0::bigint from placed p
  union all
  select project, p.day, p.stage, p.actor, 'resolution_time', null, private.time_bucket(t.taken), 1, t.taken
  from placed p, lateral private.milliseconds_between(p.since, p.at) t (taken) where p.since is not null;
end
$$;
comment on function private.comment_facts is 'What the comments and reviews of documents come to, as if one session were not there.';

-- Rollups -------------------------------------------------------------------------------------------

create function private.negative(facts private.fact[])
returns private.fact[]
language plpgsql immutable
set search_path = ''
as $$
begin
  return array(select (f.project_id, f.day, f.stage, f.actor, f.figure, f.document_id, f.bucket, -f.n, -f.milliseconds)::private.fact
               from unnest(facts) f);
end
$$;
comment on function private.negative is 'Facts that take others away.';

create function private.add_facts(facts private.fact[])
returns void
language plpgsql
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  net private.fact[];
begin
  net := array(
    select (f.project_id, f.day, f.stage, f.actor, f.figure, f.document_id, f.bucket, sum(f.n), sum(f.milliseconds))::private.fact
    from unnest(facts) f
    group by f.project_id, f.day, f.stage, f.actor, f.figure, f.document_id, f.bucket
    having sum(f.n) <> 0 or sum(f.milliseconds) <> 0);

  insert into public.analytics_counts as a (project_id, level, start, stage, actor,
    changes, versions, merges, restores, rework_versions, stages_started, stages_left, stages_completed,
    stages_skipped, stages_failed, stages_reopened, stages_returned_to, sessions_completed, validations,
    validations_passed, checks, errors, warnings, requires_input, threads_opened, threads_reopened,
    threads_resolved, approvals, changes_requested)
  select f.project_id, l.level, l.start, f.stage, f.actor,
    coalesce(sum(f.n) filter (where f.figure = 'changes'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'versions'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'merges'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'restores'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'rework_versions'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'stages_started'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'stages_left'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'stages_completed'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'stages_skipped'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'stages_failed'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'stages_reopened'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'stages_returned_to'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'sessions_completed'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'validations'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'validations_passed'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'checks'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'errors'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'warnings'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'requires_input'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'threads_opened'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'threads_reopened'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'threads_resolved'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'approvals'), 0),
    coalesce(sum(f.n) filter (where f.figure = 'changes_requested'), 0)
  from unnest(net) f cross join lateral (values
    ('day', f.day),
    ('week', f.day - (extract(isodow from f.day)::integer - 1)),
    ('month', make_date(extract(year from f.day)::integer, extract(month from f.day)::integer, 1)),
    ('year', make_date(extract(year from f.day)::integer, 1, 1))) l (level, start)
  where f.bucket is null and f.document_id is null
  group by f.project_id, l.level, l.start, f.stage, f.actor
  on conflict (project_id, level, start, stage, actor) do update set
    changes = a.changes + excluded.changes, versions = a.versions + excluded.versions,
    merges = a.merges + excluded.merges, restores = a.restores + excluded.restores,
    rework_versions = a.rework_versions + excluded.rework_versions,
    stages_started = a.stages_started + excluded.stages_started,
    stages_left = a.stages_left + excluded.stages_left,
    stages_completed = a.stages_completed + excluded.stages_completed,
    stages_skipped = a.stages_skipped + excluded.stages_skipped,
    stages_failed = a.stages_failed + excluded.stages_failed,
    stages_reopened = a.stages_reopened + excluded.stages_reopened,
    stages_returned_to = a.stages_returned_to + excluded.stages_returned_to,
    sessions_completed = a.sessions_completed + excluded.sessions_completed,
    validations = a.validations + excluded.validations,
    validations_passed = a.validations_passed + excluded.validations_passed,
    checks = a.checks + excluded.checks, errors = a.errors + excluded.errors,
    warnings = a.warnings + excluded.warnings, requires_input = a.requires_input + excluded.requires_input,
    threads_opened = a.threads_opened + excluded.threads_opened,
    threads_reopened = a.threads_reopened + excluded.threads_reopened,
    threads_resolved = a.threads_resolved + excluded.threads_resolved,
    approvals = a.approvals + excluded.approvals,
    changes_requested = a.changes_requested + excluded.changes_requested;

  insert into public.analytics_times as a (project_id, slice, level, start, figure, stage, actor, n, milliseconds, buckets, upto)
  select t.project_id, t.slice, t.level, t.start, t.figure, t.stage, t.actor, sum(t.n), sum(t.milliseconds),
         array_agg(t.bucket order by t.bucket), array_agg(t.upto order by t.bucket)
  from (
    select f.project_id, s.slice, l.level, l.start, f.figure::public.analytics_time as figure, s.stage, s.actor, f.bucket,
           sum(f.n) as n, sum(f.milliseconds) as milliseconds,
           (sum(sum(f.n)) over (partition by f.project_id, s.slice, l.level, l.start, f.figure, s.stage, s.actor order by f.bucket))::integer as upto
    from unnest(net) f cross join lateral (values
      ('day', f.day),
      ('week', f.day - (extract(isodow from f.day)::integer - 1)),
      ('month', make_date(extract(year from f.day)::integer, extract(month from f.day)::integer, 1)),
      ('year', make_date(extract(year from f.day)::integer, 1, 1))) l (level, start)
    cross join lateral (values ('all', null, null), ('stage', f.stage, null), ('actor', null, f.actor)) s (slice, stage, actor)
    where f.bucket is not null
    group by f.project_id, s.slice, l.level, l.start, f.figure, s.stage, s.actor, f.bucket) t
  group by t.project_id, t.slice, t.level, t.start, t.figure, t.stage, t.actor
  on conflict (project_id, slice, level, start, figure, stage, actor) do update set
    n = a.n + excluded.n, milliseconds = a.milliseconds + excluded.milliseconds,
    (buckets, upto) = (
      select coalesce(array_agg(m.bucket order by m.bucket), '{}'), coalesce(array_agg(m.upto order by m.bucket), '{}')
      from (
        select u.bucket, (sum(sum(u.n)) over (order by u.bucket))::integer as upto
        from (select b.bucket, b.upto - lag(b.upto, 1, 0) over (order by b.bucket) as n from unnest(a.buckets, a.upto) b (bucket, upto)
              union all
              select b.bucket, b.upto - lag(b.upto, 1, 0) over (order by b.bucket) from unnest(excluded.buckets, excluded.upto) b (bucket, upto)) u
        group by u.bucket having sum(u.n) <> 0) m);

  insert into public.analytics_contested as a (project_id, day, document_id, handovers, merges)
  select f.project_id, f.day, f.document_id,
         coalesce(sum(f.n) filter (where f.figure = 'handovers'), 0), coalesce(sum(f.n) filter (where f.figure = 'merges'), 0)
  from unnest(net) f where f.document_id is not null
  group by f.project_id, f.day, f.document_id
  on conflict (project_id, day, document_id) do update set
    handovers = a.handovers + excluded.handovers, merges = a.merges + excluded.merges;
end
$$;
comment on function private.add_facts is 'Adds facts to the rollups of their days, weeks, months and years.';

create function private.rebuild_rollups(project uuid)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  chunk uuid[];
  last uuid := '00000000-0000-0000-0000-000000000000';
begin
  perform from public.projects p where p.id = project for no key update;
  delete from public.analytics_counts a where a.project_id = project;
  delete from public.analytics_times a where a.project_id = project;
  delete from public.analytics_contested a where a.project_id = project;
  -- In pieces, so that memory is bounded whatever the project holds.
  loop
    chunk := array(select s.id from public.sessions s where s.project_id = project and s.id > last order by s.id limit 10000);
    exit when chunk = '{}';
    perform private.add_facts(array(select f from private.stage_facts(chunk, '{}') f));
    last := chunk[cardinality(chunk)];
  end loop;
  last := '00000000-0000-0000-0000-000000000000';
  loop
    chunk := array(select d.id from public.documents d where d.project_id = project and d.id > last order by d.id limit 10000);
    exit when chunk = '{}';
    perform private.add_facts(
      array(select f from private.version_facts(project, chunk) f) || array(select f from private.comment_facts(project, chunk) f));
    last := chunk[cardinality(chunk)];
  end loop;
end
$$;
comment on function private.rebuild_rollups is 'Counts the rollups of a project anew, under its lock.';

create function private.recount_rollups(project uuid)
returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
  counts public.analytics_counts[];
  times public.analytics_times[];
  contested public.analytics_contested[];
begin
  perform from public.projects p where p.id = project for no key update;
  counts := array(select a from public.analytics_counts a where a.project_id = project);
  times := array(select a from public.analytics_times a where a.project_id = project);
  contested := array(select a from public.analytics_contested a where a.project_id = project);
  perform private.rebuild_rollups(project);
  -- A row that came to nothing is as good as none.
  return (
    select count(*) from (
      select k.key from (
        (select to_jsonb(u) - 'id' as key from unnest(counts) u except select to_jsonb(a) - 'id' from public.analytics_counts a where a.project_id = project)
        union all
        (select to_jsonb(a) - 'id' from public.analytics_counts a where a.project_id = project except select to_jsonb(u) - 'id' from unnest(counts) u)
        union all
        (select to_jsonb(u) - 'id' from unnest(times) u except select to_jsonb(a) - 'id' from public.analytics_times a where a.project_id = project)
        union all
        (select to_jsonb(a) - 'id' from public.analytics_times a where a.project_id = project except select to_jsonb(u) - 'id' from unnest(times) u)
        union all
        (select to_jsonb(u) - 'id' from unnest(contested) u except select to_jsonb(a) - 'id' from public.analytics_contested a where a.project_id = project)
        union all
        (select to_jsonb(a) - 'id' from public.analytics_contested a where a.project_id = project except select to_jsonb(u) - 'id' from unnest(contested) u)) k
      where jsonb_path_exists(k.key - array['buckets', 'counts'], '$.* ? (@ > 0 || @ < 0)')) differing);
end
$$;
comment on function private.recount_rollups is 'Counts the rollups of a project anew, and says how many rows of them say something else than before.';

-- Triggers ------------------------------------------------------------------------------------------

-- The cost of every commit: the common case in two statements, with the same meaning as version_facts.
create function private.roll_up_change()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  today date := (new.committed_at at time zone 'UTC')::date;
  author text;
begin
  if exists (select from private.rollup_pauses p where p.project_id = new.project_id) then
    return null;
  end if;
  insert into public.analytics_counts as a (project_id, level, start, stage, actor, changes, versions, merges, restores, rework_versions)
  select new.project_id, l.level, l.start, w.stage, new.actor, w.changes, w.versions, w.merges, w.restores, w.rework
  from (
    select d.stage, count(*) filter (where v.position = 1) as changes, count(*) as versions,
           count(*) filter (where v.merged_from is not null) as merges, count(*) filter (where v.action = 'restore') as restores,
           count(*) filter (where d.stage is not null and coalesce((
             select e.state = 'complete' from public.stage_events e
             where e.session_id = d.session_id and e.stage = d.stage and e.at <= new.committed_at
             order by e.at desc, e.number desc limit 1), false)) as rework
    from public.versions v join public.documents d on d.id = v.document_id
    where v.project_id = new.project_id and v.change_sequence = new.sequence
    group by d.stage) w
  cross join (values
    ('day', today),
    ('week', today - (extract(isodow from today)::integer - 1)),
    ('month', make_date(extract(year from today)::integer, extract(month from today)::integer, 1)),
    ('year', make_date(extract(year from today)::integer, 1, 1))) l (level, start)
  on conflict (project_id, level, start, stage, actor) do update set
    changes = a.changes + excluded.changes, versions = a.versions + excluded.versions, merges = a.merges + excluded.merges,
    restores = a.restores + excluded.restores, rework_versions = a.rework_versions + excluded.rework_versions;

  author := private.writer(new.author_id, new.attributed_to, new.origin_id, new.author_email, new.author_name);
  insert into public.analytics_contested as a (project_id, day, document_id, handovers, merges)
  select new.project_id, today, w.document_id, w.handed_over::integer, w.merged::integer
  from (
    select v.document_id, v.merged_from is not null as merged,
           private.writer(c.author_id, c.attributed_to, c.origin_id, c.author_email, c.author_name) <> author as handed_over
    from public.versions v
    join public.versions p on p.hash = v.parent
    join public.changes c on c.project_id = p.project_id and c.sequence = p.change_sequence
    where v.project_id = new.project_id and v.change_sequence = new.sequence) w
  where w.merged or w.handed_over
  on conflict (project_id, day, document_id) do update set
    handovers = a.handovers + excluded.handovers, merges = a.merges + excluded.merges;
  return null;
end
$$;
comment on function private.roll_up_change is 'Adds a change''s versions to the rollups.';
create trigger roll_up_change after insert on public.changes
  for each row when (new.version_count > 0) execute function private.roll_up_change();

-- Versions that are rework only with, or only without, some reports.
create function private.rework_facts(sessions uuid[], without uuid[], since timestamptz, until timestamptz)
returns setof private.fact
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_generic_plan'
as $$
begin
  return query
  with placed as (
    select c.project_id, c.actor, c.committed_at, s.id as session_id, private.stage_of(v.path, s.root) as stage
    from public.sessions s
    join public.changes c on c.project_id = s.project_id and c.committed_at >= since and c.committed_at < until
    join public.versions v on v.project_id = c.project_id and v.change_sequence = c.sequence
    where s.id = any (sessions) and starts_with(v.path, s.root || '/') and private.session_of(s.project_id, v.path) = s.id
  ), judged as (
    select p.*,
      coalesce((select e.state = 'complete' from public.stage_events e
        where e.session_id = p.session_id and e.stage = p.stage and e.at <= p.committed_at
        order by e.at desc, e.number desc limit 1), false) as now,
      coalesce((select e.state = 'complete' from public.stage_events e
        where e.session_id = p.session_id and e.stage = p.stage and e.at <= p.committed_at and e.id <> all (without)
        order by e.at desc, e.number desc limit 1), false) as before
    from placed p where p.stage is not null
  )
  select j.project_id, (j.committed_at at time zone 'UTC')::date, j.stage, j.actor, 'rework_versions', null::uuid, null::integer,
         j.now::integer::bigint - j.before::integer, 0::bigint
  from judged j where j.now <> j.before;
end
$$;
comment on function private.rework_facts is 'What reports change in how many versions are rework, among those of a time.';

create function private.roll_up_stages()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  ids uuid[];
  sessions uuid[];
  one public.stage_events;
  first_at timestamptz;
  next_at timestamptz;
  among uuid[];
  facts private.fact[];
begin
  select array_agg(f.id), array_agg(distinct f.session_id), min(f.at) into ids, sessions, first_at
  from fresh f where not exists (select from private.rollup_pauses p where p.project_id = f.project_id);
  if ids is null then
    return null;
  end if;
  select * into one from fresh f where f.id = ids[1];
  if cardinality(ids) = 1 and one.state = one.before then
    -- The same state again takes no stage on: only its validation counts.
    facts := array(
      select (one.project_id, (one.at at time zone 'UTC')::date, one.stage, one.actor, v.figure, null, null, v.n, 0)::private.fact
      from (values ('validations', 1), ('validations_passed', (one.errors = 0 and one.requires_input = 0)::integer), ('checks', one.checks),
                   ('errors', one.errors), ('warnings', one.warnings), ('requires_input', one.requires_input)) v (figure, n)
      where one.checks is not null and v.n <> 0);
  else
    if cardinality(ids) = 1 then
      among := private.facts_rest_on(one);
    end if;
    facts := private.negative(array(select f from private.stage_facts(sessions, ids, among) f))
      || array(select f from private.stage_facts(sessions, '{}', among) f);
    if cardinality(ids) > 1 or (one.state = 'complete') <> (one.before = 'complete') then
      if cardinality(ids) = 1 then
        select e.at into next_at from public.stage_events e
        where e.session_id = one.session_id and e.stage = one.stage and (e.at, e.number) > (one.at, one.number)
        order by e.at, e.number limit 1;
      end if;
      facts := facts || array(select f from private.rework_facts(sessions, ids, first_at, coalesce(next_at, 'infinity')) f);
    end if;
  end if;
  if facts <> '{}' then
    perform private.add_facts(facts);
  end if;
  return null;
end
$$;
comment on function private.roll_up_stages is 'Moves the rollups by what new stage reports change, also in the past.';
create trigger roll_up_stages after insert on public.stage_events
  referencing new table as fresh for each statement execute function private.roll_up_stages();

create function private.roll_up_session()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  inside uuid[];
begin
  if exists (select from private.rollup_pauses p where p.project_id = new.project_id) then
    return null;
  end if;
  inside := array(
    select distinct t.document_id from public.tree_entries t
    where t.project_id = new.project_id and t.path > new.root || '/' and t.path < new.root || '0');
  if inside <> '{}' then
    perform private.add_facts(
      private.negative(array(select f from private.version_facts(new.project_id, inside, new.id) f)
                       || array(select f from private.comment_facts(new.project_id, inside, new.id) f))
      || array(select f from private.version_facts(new.project_id, inside) f)
      || array(select f from private.comment_facts(new.project_id, inside) f));
  end if;
  return null;
end
$$;
comment on function private.roll_up_session is 'Gives what lies below a new session''s root already to its stages.';
create trigger roll_up_session after insert on public.sessions
  for each row execute function private.roll_up_session();

create function private.roll_up_remark()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
  said public.comments;
  seen text;
  about public.sha256_hex;
  kind public.actor_kind;
  moment timestamptz := new.created_at;
  fact private.fact;
  since timestamptz;
begin
  if exists (select from private.rollup_pauses p where p.project_id = new.project_id) then
    return null;
  elsif tg_table_name = 'comments' then
    if new.thread_id <> new.id then
      return null;
    end if;
    seen := 'threads_opened';
    about := new.version;
    kind := new.actor;
  elsif tg_table_name = 'reviews' then
    if new.verdict = 'withdraw' then
      return null;
    end if;
    seen := case new.verdict when 'approve' then 'approvals' else 'changes_requested' end;
    about := new.version;
    kind := new.actor;
  else
    if new.act = 'retract' then
      return null;
    end if;
    select * into said from public.comments c where c.id = new.comment_id;
    seen := case new.act when 'resolve' then 'threads_resolved' else 'threads_reopened' end;
    about := said.version;
    kind := said.actor;
    if new.act = 'resolve' then
      select a.created_at into since from public.comment_acts a
      where a.comment_id = new.comment_id and a.act in ('resolve', 'reopen') and a.sequence < new.sequence order by a.sequence desc limit 1;
      since := coalesce(since, said.created_at);
    end if;
  end if;
  fact := (new.project_id, (moment at time zone 'UTC')::date, null, kind, seen, null, null, 1, 0);
  select s.stage into fact.stage from public.versions v, private.stages_of_paths(new.project_id, array[v.path::text], null) s where v.hash = about;
  perform private.add_facts(array[fact] || array(
    select (fact.project_id, fact.day, fact.stage, kind, 'resolution_time', null, private.time_bucket(t.taken), 1, t.taken)::private.fact
    from private.milliseconds_between(since, moment) t (taken) where since is not null));
  return null;
end
$$;
comment on function private.roll_up_remark is 'Adds a comment, what happened to one, or a review to the rollups.';
create trigger roll_up_remark after insert on public.comments
  for each row execute function private.roll_up_remark();
create trigger roll_up_remark after insert on public.comment_acts
  for each row execute function private.roll_up_remark();
create trigger roll_up_remark after insert on public.reviews
  for each row execute function private.roll_up_remark();

-- Reading -------------------------------------------------------------------------------------------
-- Of the caller's projects: what others have adds nothing.

-- Whole units to the nearest, and at both ends what is missing or, taken away again, what is too much, in finer ones: a year
-- without its last ten days is that year less a week and three days. So no more than half of a unit is ever in pieces.
-- All are read in one snapshot, as every stable function does: a year and its days are of the same moment.
create function private.spans(earlier date, later date, units text[])
returns table (level text, low date, high date, sign integer)
language plpgsql immutable
set search_path = ''
set timezone = 'UTC'
as $$
declare
  unit text := units[1];
  finer text[] := units[2:];
  half interval := case unit when 'year' then '6 months' when 'month' then '15 days' else '3 days 12 hours' end;
  first date;
  beyond date;
begin
  if earlier >= later then
    return;
  elsif unit = 'day' then
    return query values (unit, earlier, later, 1);
    return;
  end if;
  first := date_trunc(unit, earlier + half);
  beyond := date_trunc(unit, later + half);
  if first = beyond or later < earlier + half then
    return query select * from private.spans(earlier, later, finer);
    return;
  end if;
  return query
    values (unit, first, beyond, 1)
    union all select s.level, s.low, s.high, s.sign from private.spans(earlier, first, finer) s
    union all select s.level, s.low, s.high, -s.sign from private.spans(first, earlier, finer) s
    union all select s.level, s.low, s.high, s.sign from private.spans(beyond, later, finer) s
    union all select s.level, s.low, s.high, -s.sign from private.spans(later, beyond, finer) s;
end
$$;
comment on function private.spans is 'The rows of rollups that together, some of them taken away, are a period; `later` is outside. Units from the largest to days.';
grant execute on function private.spans to authenticated;

create function private.units_of(step text)
returns text[]
language plpgsql immutable
set search_path = ''
as $$
begin
  -- In groups of time a row belongs to one of them: a week would lie in two months.
  return case step when 'day' then '{day}' when 'week' then '{week,day}' when 'month' then '{month,day}' else '{year,month,week,day}' end;
end
$$;
comment on function private.units_of is 'What rows of rollups make up a period in groups of that step, or in none.';
grant execute on function private.units_of to authenticated;

-- With their owner's rights, and the caller asked once: a policy compares each row with all of the caller's projects.
-- One span after the other: each is a piece of an index. Statistics don't know that days, months and years of a table are
-- apart, so plans would be tempted to read all of it instead; nor would a plan for these very days be another one.
create function private.counts_of(targets uuid[], first_day date, last_day date, step text, part text)
returns setof public.analytics_counts
language plpgsql stable security definer
set search_path = ''
set timezone = 'UTC'
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
declare
  span record;
  mine uuid[] := array(select u from unnest(targets) u intersect select m.project_id from private.my_memberships m);
begin
  for span in select * from private.spans(first_day, last_day + 1, private.units_of(step)) loop
    return query
    select case when part in ('project', 'project,stage') then a.project_id end, null::text,
           case when step is null then first_day else greatest(date_trunc(step, a.start::timestamp)::date, first_day) end as period,
           case when part in ('stage', 'project,stage') then a.stage end, case when part = 'actor' then a.actor end,
           span.sign * sum(a.changes)::bigint, span.sign * sum(a.versions)::bigint, span.sign * sum(a.merges)::bigint,
           span.sign * sum(a.restores)::bigint, span.sign * sum(a.rework_versions)::bigint,
           span.sign * sum(a.stages_started)::bigint, span.sign * sum(a.stages_left)::bigint,
           span.sign * sum(a.stages_completed)::bigint, span.sign * sum(a.stages_skipped)::bigint,
           span.sign * sum(a.stages_failed)::bigint, span.sign * sum(a.stages_reopened)::bigint,
           span.sign * sum(a.stages_returned_to)::bigint, span.sign * sum(a.sessions_completed)::bigint,
           span.sign * sum(a.validations)::bigint, span.sign * sum(a.validations_passed)::bigint, span.sign * sum(a.checks)::bigint,
           span.sign * sum(a.errors)::bigint, span.sign * sum(a.warnings)::bigint, span.sign * sum(a.requires_input)::bigint,
           span.sign * sum(a.threads_opened)::bigint, span.sign * sum(a.threads_reopened)::bigint,
           span.sign * sum(a.threads_resolved)::bigint, span.sign * sum(a.approvals)::bigint,
           span.sign * sum(a.changes_requested)::bigint, null::uuid
    from public.analytics_counts a
    where a.project_id = any (mine) and a.level = span.level and a.start >= span.low and a.start < span.high
    group by 1, 3, 4, 5;
  end loop;
end
$$;
comment on function private.counts_of is 'Counts of a period, in groups of time and parts; those of one group and part may come in several rows.';
grant execute on function private.counts_of to authenticated;

create function private.times_of(targets uuid[], first_day date, last_day date, step text, part text)
returns table (project_id uuid, period date, stage public.stage, actor public.actor_kind, figure public.analytics_time,
  n bigint, milliseconds bigint, sign integer, buckets integer[], upto integer[], p50 integer, p90 integer)
language plpgsql stable security definer
set search_path = ''
set timezone = 'UTC'
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = 'off'
as $$
declare
  span record;
  mine uuid[] := array(select u from unnest(targets) u intersect select m.project_id from private.my_memberships m);
  wanted text := case when part = 'actor' then 'actor' when part in ('stage', 'project,stage') then 'stage' else 'all' end;
begin
  for span in select * from private.spans(first_day, last_day + 1, private.units_of(step)) loop
    return query
    select case when part in ('project', 'project,stage') then a.project_id end,
           case when step is null then first_day when step = 'day' then a.start
                else greatest(date_trunc(step, a.start::timestamp)::date, first_day) end,
           a.stage, a.actor, a.figure, span.sign * a.n, span.sign * a.milliseconds, span.sign, a.buckets, a.upto, a.p50, a.p90
    from public.analytics_times a
    where a.project_id = any (mine) and a.slice = wanted and a.level = span.level and a.start >= span.low and a.start < span.high;
  end loop;
end
$$;
comment on function private.times_of is 'Histograms of a period, in groups of time and parts; those of one group and part may come in several rows.';
grant execute on function private.times_of to authenticated;

create function private.read_rollups(targets uuid[], first_day date, last_day date, step text, part text)
returns jsonb
language plpgsql stable
set search_path = ''
set timezone = 'UTC'
set plan_cache_mode = 'force_generic_plan'
as $$
declare
  most constant integer := 20000;
  answer jsonb;
begin
  if step not in ('day', 'week', 'month') or part not in ('stage', 'actor', 'project', 'project,stage')
    or first_day is null or last_day is null or last_day < first_day or first_day < '1900-01-01' or last_day > '9998-12-31' then
    perform private.fail(422, 'bad_period',
      'A period has a first day (from) and a last one (to) that is not before it; group is day, week or month; by is stage, actor or project.');
  elsif step is not null and (last_day - first_day) / (case step when 'week' then 7 when 'month' then 30 else 1 end) >= 400 then
    perform private.fail(422, 'period_too_long', 'That period has more than 400 groups. Ask for a shorter one, or for larger groups.',
      jsonb_build_object('from', first_day, 'to', last_day, 'group', step));
  end if;
  with recursive periods as (
      select greatest(g.start::date, first_day) as period
      from generate_series(date_trunc(step, first_day::timestamp), last_day, ('1 ' || step)::interval) g (start) where step is not null
      union all select first_day where step is null
    ), c as materialized (
      select a.project_id, a.start as period, a.stage, a.actor,
           sum(a.changes) as changes, sum(a.versions) as versions, sum(a.merges) as merges,
           sum(a.restores) as restores, sum(a.rework_versions) as rework_versions,
           sum(a.stages_started) as stages_started, sum(a.stages_left) as stages_left,
           sum(a.stages_completed) as stages_completed, sum(a.stages_skipped) as stages_skipped,
           sum(a.stages_failed) as stages_failed, sum(a.stages_reopened) as stages_reopened,
           sum(a.stages_returned_to) as stages_returned_to, sum(a.sessions_completed) as sessions_completed,
           sum(a.validations) as validations, sum(a.validations_passed) as validations_passed,
           sum(a.checks) as checks, sum(a.errors) as errors, sum(a.warnings) as warnings,
           sum(a.requires_input) as requires_input, sum(a.threads_opened) as threads_opened,
           sum(a.threads_reopened) as threads_reopened, sum(a.threads_resolved) as threads_resolved,
           sum(a.approvals) as approvals, sum(a.changes_requested) as changes_requested
      from private.counts_of(targets, first_day, last_day, step, part) a group by 1, 2, 3, 4
      -- What was added with a year and taken away with its days is not there. The figures left out are parts of these.
      having sum(a.versions + a.stages_started + a.stages_left + a.stages_completed + a.stages_skipped + a.stages_failed
        + a.stages_reopened + a.sessions_completed + a.validations + a.threads_opened + a.threads_reopened + a.threads_resolved
        + a.approvals + a.changes_requested) <> 0
    ), earlier as materialized (
      select a.project_id, a.stage, a.actor,
             sum(a.stages_started - a.stages_left) as in_progress,
             sum(a.threads_opened + a.threads_reopened - a.threads_resolved) as open
      from private.counts_of(targets, '1000-01-01', first_day - 1, null, part) a group by 1, 2, 3
    ), histograms as materialized (
      select h.*, dense_rank() over (order by h.project_id, h.period, h.stage, h.actor, h.figure) as place
      from private.times_of(targets, first_day, last_day, step, part) h where h.n <> 0
    ), sums as materialized (
      select h.place, h.project_id, h.period, h.stage, h.actor, h.figure, sum(h.n) as n, sum(h.milliseconds) as milliseconds,
             count(*) as pieces, min(h.p50) as p50, min(h.p90) as p90
      from histograms h group by 1, 2, 3, 4, 5, 6 having sum(h.n) <> 0
    ), pieces as materialized (
      -- Joined to nothing, the arrays are unpacked here, and not at each look below.
      select h.place, h.sign, h.buckets || '{}'::integer[] as buckets, h.upto || '{}'::integer[] as upto
      from histograms h where h.place in (select s.place from sums s where s.pieces > 1)
    ), search (place, quantile, rank, low, high) as (
      -- The first bucket that with those before it holds as many times as the quantile's rank: halving where it may be costs a
      -- dozen looks into each piece, however many buckets that has, and adding the pieces up costs a step for each bucket.
      select s.place, q.quantile, ceil(s.n * q.quantile), p.low, p.high
      from (select p.place, min(p.buckets[1]) as low, max(p.buckets[cardinality(p.buckets)]) as high from pieces p group by p.place) p
      join sums s on s.place = p.place cross join (values (0.5), (0.9)) q (quantile)
      union all
      select distinct on (m.place, m.quantile) m.place, m.quantile, m.rank,
             case when m.held < m.rank then m.middle + 1 else m.low end, case when m.held < m.rank then m.high else m.middle end
      from (
        select l.*, sum(l.held_by_piece) over (partition by l.place, l.quantile) as held
        from (
          select w.*, p.sign * coalesce(p.upto[width_bucket(w.middle, p.buckets)], 0) as held_by_piece
          from (select s.*, (s.low + s.high) / 2 as middle from search s where s.low < s.high) w
          join pieces p on p.place = w.place offset 0) l) m  -- offset: the arrays are not sorted along
    ), quantiles as (
      select s.place, max(s.low) filter (where s.quantile = 0.5) as p50, max(s.low) filter (where s.quantile = 0.9) as p90
      from search s where s.low = s.high group by s.place
      union all
      select s.place, s.p50, s.p90 from sums s where s.pieces = 1
    ), times as materialized (
      select t.project_id, t.period, t.stage, t.actor, jsonb_object_agg(t.figure, jsonb_build_object(
        'count', t.n, 'mean', round(t.milliseconds / t.n / 1000.0, 3),
        'p50', private.bucket_seconds(q.p50), 'p90', private.bucket_seconds(q.p90))) as told
      from sums t join quantiles q on q.place = t.place
      group by 1, 2, 3, 4
    ), keys as (
      select k.project_id, k.stage, k.actor from c k
      union select k.project_id, k.stage, k.actor from earlier k where k.in_progress <> 0 or k.open <> 0
      union select null, null, null where part is null
    ), rows as (
      select p.period, k.project_id, k.stage, k.actor, c, t.told,
             coalesce(e.in_progress, 0) + sum(coalesce(c.stages_started - c.stages_left, 0)) over upto as in_progress,
             coalesce(e.open, 0) + sum(coalesce(c.threads_opened + c.threads_reopened - c.threads_resolved, 0)) over upto as open
      from periods p cross join keys k
      left join c on c.period = p.period and (c.project_id, c.stage, c.actor) is not distinct from (k.project_id, k.stage, k.actor)
      left join earlier e on (e.project_id, e.stage, e.actor) is not distinct from (k.project_id, k.stage, k.actor)
      left join times t on t.period = p.period and (t.project_id, t.stage, t.actor) is not distinct from (k.project_id, k.stage, k.actor)
      window upto as (partition by k.project_id, k.stage, k.actor order by p.period)
    )
    select case when step is null or (select count(*) from periods) * (select count(*) from keys) <= most then (
    select coalesce(jsonb_agg(jsonb_build_object(
        'start', case when step is not null then r.period end, 'stage', r.stage, 'actor', r.actor,
        'project', case when j.id is not null then jsonb_build_object('id', j.id, 'slug', j.slug, 'name', j.name) end,
        'work_in_progress', r.in_progress, 'open_threads', r.open,
        'lead_time', r.told -> 'lead_time', 'session_lead_time', r.told -> 'session_lead_time',
        'waiting_time', r.told -> 'waiting_time', 'resolution_time', r.told -> 'resolution_time',
        'validation_pass_rate', round((r.c).validations_passed / nullif((r.c).validations, 0), 4))
        || jsonb_build_object(
        'changes', coalesce((r.c).changes, 0), 'versions', coalesce((r.c).versions, 0),
        'merges', coalesce((r.c).merges, 0), 'restores', coalesce((r.c).restores, 0),
        'rework_versions', coalesce((r.c).rework_versions, 0),
        'stages_started', coalesce((r.c).stages_started, 0),
        'stages_completed', coalesce((r.c).stages_completed, 0),
        'stages_skipped', coalesce((r.c).stages_skipped, 0),
        'stages_failed', coalesce((r.c).stages_failed, 0),
        'stages_reopened', coalesce((r.c).stages_reopened, 0),
        'stages_returned_to', coalesce((r.c).stages_returned_to, 0),
        'sessions_completed', coalesce((r.c).sessions_completed, 0),
        'validations', coalesce((r.c).validations, 0),
        'validations_passed', coalesce((r.c).validations_passed, 0), 'checks', coalesce((r.c).checks, 0),
        'errors', coalesce((r.c).errors, 0), 'warnings', coalesce((r.c).warnings, 0),
        'requires_input', coalesce((r.c).requires_input, 0),
        'threads_opened', coalesce((r.c).threads_opened, 0),
        'threads_reopened', coalesce((r.c).threads_reopened, 0),
        'threads_resolved', coalesce((r.c).threads_resolved, 0), 'approvals', coalesce((r.c).approvals, 0),
        'changes_requested', coalesce((r.c).changes_requested, 0))
      order by r.period, r.stage, r.actor, j.slug, j.id), '[]')
    from rows r left join public.projects j on j.id = r.project_id) end into answer;
  if answer is null then
    perform private.fail(422, 'period_too_long', format('That is more than %s rows. Ask for a shorter period, for larger groups, or for one project.', most),
      jsonb_build_object('from', first_day, 'to', last_day, 'group', step));
  end if;
  return answer;
end
$$;
comment on function private.read_rollups is 'The figures of projects over a period, in groups of time (or null) and parts (or null).';
grant execute on function private.read_rollups to authenticated;

create function public.read_analytics(project text, first_day date, last_day date, step text default null, part text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return private.read_rollups(array[target], first_day, last_day, step, part);
end
$$;
comment on function public.read_analytics is
  'The figures of a project over a period, both days inside: rows, by day, week or month and by stage, actor or project.';

create function public.read_all_analytics(first_day date, last_day date, step text default null, part text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  return private.read_rollups(array(select private.my_projects()), first_day, last_day, step, part);
end
$$;
comment on function public.read_all_analytics is 'As read_analytics, over all projects of the caller.';


-- A project's, or those of all projects of the caller.
create function private.asked_projects(project text)
returns uuid[]
language plpgsql stable
set search_path = ''
as $$
begin
  return case when project is null then array(select private.my_projects()) else array[private.project_id(project)] end;
end
$$;
comment on function private.asked_projects is 'The project of a reference, or all of the caller''s.';
grant execute on function private.asked_projects to authenticated;

create function public.list_contested(
  first_day date, last_day date, project text default null, page_size integer default 50, after text default null)
returns jsonb
language plpgsql stable
set search_path = ''
set timezone = 'UTC'
as $$
declare
  targets uuid[] := private.asked_projects(project);
  seen bigint := case when split_part(after, ' ', 1) ~ '^[0-9]{1,18}$' then split_part(after, ' ', 1)::bigint end;
  seen_id uuid := private.uuid_or_null(split_part(after, ' ', 2));
begin
  if first_day is null or last_day is null or last_day < first_day or first_day < '1900-01-01' or last_day > '9998-12-31' then
    perform private.fail(422, 'bad_period', 'A period has a first day (from) and a last one (to) that is not before it.');
  elsif after is not null and num_nulls(seen, seen_id) > 0 then
    perform private.fail(400, 'bad_cursor', 'Use the cursor of the page before as it is, or none.');
  end if;
  return (
    with worst as (
      select a.project_id, a.document_id, sum(a.handovers) as handovers, sum(a.merges) as merges
      from public.analytics_contested a
      where a.project_id = any (targets) and a.day >= first_day and a.day <= last_day
      group by a.project_id, a.document_id
      having sum(a.handovers + a.merges) > 0
        and (after is null or sum(a.handovers + a.merges) < seen or sum(a.handovers + a.merges) = seen and a.document_id > seen_id)
      order by sum(a.handovers + a.merges) desc, a.document_id limit private.page_rows(page_size)
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'project', jsonb_build_object('id', p.id, 'slug', p.slug, 'name', p.name), 'document', d.id, 'path', d.path, 'live', d.live,
        'stage', d.stage, 'handovers', w.handovers, 'merges', w.merges, 'versions', v.versions, 'writers', v.writers)
      order by w.handovers + w.merges desc, w.document_id), '[]')
    from worst w
    join public.documents d on d.id = w.document_id
    join public.projects p on p.id = w.project_id
    cross join lateral (
      select count(*) as versions,
             count(distinct private.writer(c.author_id, c.attributed_to, c.origin_id, c.author_email, c.author_name)) as writers
      from public.versions x join public.changes c on c.project_id = x.project_id and c.sequence = x.change_sequence
      where x.document_id = w.document_id and c.committed_at >= first_day and c.committed_at < last_day + 1) v);
end
$$;
comment on function public.list_contested is
  'Documents that more than one wrote in a period, by handovers and merges; of a project, or of all of the caller''s.';

-- The live documents of the caller's projects that are unchanged for longest, after one that was seen. It runs as its owner,
-- because row security lets no index be asked by the text of a project; so it asks itself whose the projects are.
create function private.oldest_documents(
  targets uuid[], until timestamptz, seen_at timestamptz, seen_project uuid, seen_sequence bigint, seen_id uuid, asked integer)
returns table (id uuid, project_id uuid, session_id uuid, stage public.stage, path text, number integer, sequence bigint, changed_at timestamptz)
language sql stable security definer
set search_path = ''
as $$
  -- Where each project's part begins: times never go back in a project, so its documents by change are its documents by time.
  with places as materialized (
    select p.id,
           case when seen_at is null then 0
                when p.id = seen_project then seen_sequence
                else (
                  select c.sequence from public.changes c
                  where c.project_id = p.id
                    and c.committed_at >= seen_at + case when p.id < seen_project then interval '1 microsecond' else interval '0' end
                  order by c.committed_at, c.sequence limit 1) end as sequence,
           case when p.id = seen_project then seen_id else '00000000-0000-0000-0000-000000000000' end as id_before
    from private.my_projects() p (id) where p.id = any (targets)
  ),
  -- So many documents are asked for, so they lie in as many projects: those whose own oldest is oldest.
  firsts as materialized (
    select p.*, f.changed_at
    from places p
    cross join lateral (
      select (select c.committed_at from public.changes c where c.project_id = p.id and c.sequence = d.sequence) as changed_at
      from (
        select min(d.head_sequence) as sequence from public.documents d
        where d.project_id::text = p.id::text and d.live and (d.head_sequence, d.id) > (p.sequence, p.id_before)) d) f
    where f.changed_at <= until
    order by f.changed_at, p.id limit asked
  ),
  -- And none of them is younger than the youngest of these, if there are as many.
  latest as materialized (
    select case when count(*) < asked then until else max(f.changed_at) end as changed_at from firsts f
  )
  select d.id, d.project_id, d.session_id, d.stage, d.path, d.head_number, d.head_sequence, d.changed_at
  from firsts f
  cross join lateral (
    select d.*, (select c.committed_at from public.changes c where c.project_id = f.id and c.sequence = d.head_sequence) as changed_at
    from public.documents d
    where d.project_id::text = f.id::text and d.live and (d.head_sequence, d.id) > (f.sequence, f.id_before)
      and d.head_sequence <= (
        select c.sequence from public.changes c
        where c.project_id = f.id and c.committed_at <= (select l.changed_at from latest l)
        order by c.committed_at desc, c.sequence desc limit 1)
    order by d.head_sequence, d.id limit asked) d
  order by d.changed_at, d.project_id, d.head_sequence, d.id limit asked
$$;
comment on function private.oldest_documents is 'What list_stale tells, among those of the given projects that are the caller''s.';
grant execute on function private.oldest_documents to authenticated;

create function public.list_stale(
  project text default null, days integer default 90, page_size integer default 50, after text default null)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  targets uuid[] := private.asked_projects(project);
  until timestamptz := now() - make_interval(days => least(greatest(coalesce(days, 90), 0), 36500));
  seen_at timestamptz := private.moment_or_null(split_part(after, ' ', 1));
  seen_project uuid := private.uuid_or_null(split_part(after, ' ', 2));
  seen_sequence bigint := case when split_part(after, ' ', 3) ~ '^[0-9]{1,18}$' then split_part(after, ' ', 3)::bigint end;
  seen_id uuid := private.uuid_or_null(split_part(after, ' ', 4));
begin
  if after is not null and num_nulls(seen_at, seen_project, seen_sequence, seen_id) > 0 then
    perform private.fail(400, 'bad_cursor', 'Use the cursor of the page before as it is, or none.');
  end if;
  return (
    with oldest as materialized (
      select * from private.oldest_documents(
        targets, until, seen_at, seen_project, seen_sequence, seen_id, private.page_rows(page_size))
    ),
    -- The newest of each stage of the sessions that they belong to.
    newest as materialized (
      select e.* from (select distinct o.project_id, o.session_id from oldest o where o.stage is not null) s
      cross join lateral (
        select distinct on (e.stage) e.session_id, e.stage, e.id, e.path, e.head_number, e.head_sequence
        from public.documents e
        where e.project_id = s.project_id and e.session_id = s.session_id and e.stage is not null and e.live
        order by e.stage, e.head_sequence desc, e.id) e
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'project', jsonb_build_object('id', p.id, 'slug', p.slug, 'name', p.name), 'document', d.id, 'path', d.path,
        'stage', d.stage, 'number', d.number, 'changed_at', d.changed_at, 'sequence', d.sequence,
        'behind', (
          select jsonb_build_object('document', e.id, 'path', e.path, 'stage', e.stage, 'number', e.head_number)
          from newest e
          where e.session_id = d.session_id and e.stage < d.stage and e.head_sequence > d.sequence
          order by e.head_sequence desc, e.id limit 1))
      order by d.changed_at, d.project_id, d.sequence, d.id), '[]')
    from oldest d join public.projects p on p.id = d.project_id);
end
$$;
comment on function public.list_stale is
  'Live documents by their newest version, oldest first, from so many days without a change on; of a project, or of all of the caller''s.';

create function public.read_gauges()
returns jsonb
language plpgsql stable
set search_path = ''
set timezone = 'UTC'
as $$
declare
  targets uuid[] := array(select private.my_projects());
begin
  return jsonb_build_object(
    'counts', (
      select coalesce(jsonb_agg(to_jsonb(g) order by g.project, g.stage, g.actor), '[]') from (
        select p.id as project, p.slug, a.stage, a.actor,
               sum(a.stages_started - a.stages_left) as work_in_progress, sum(a.stages_completed) as stages_completed,
               sum(a.stages_failed) as stages_failed, sum(a.stages_skipped) as stages_skipped, sum(a.stages_reopened) as stages_reopened,
               sum(a.sessions_completed) as sessions_completed, sum(a.versions) as versions, sum(a.rework_versions) as rework_versions,
               sum(a.validations) as validations, sum(a.validations_passed) as validations_passed,
               sum(a.threads_opened + a.threads_reopened - a.threads_resolved) as open_threads
        from public.analytics_counts a join public.projects p on p.id = a.project_id
        where a.project_id = any (targets) and a.level = 'year'
        group by p.id, p.slug, a.stage, a.actor) g),
    'times', (
      select coalesce(jsonb_agg(jsonb_build_object('project', r -> 'project' -> 'id', 'slug', r -> 'project' -> 'slug', 'stage', r -> 'stage',
        'lead_time', r -> 'lead_time', 'waiting_time', r -> 'waiting_time', 'session_lead_time', r -> 'session_lead_time',
        'resolution_time', r -> 'resolution_time')), '[]')
      from jsonb_array_elements(private.read_rollups(targets, current_date - 29, current_date, null, 'project,stage')) r));
end
$$;
comment on function public.read_gauges is
  'What Prometheus is told of the caller''s projects: {counts, times}, since the beginning and over the last 30 days.';

revoke execute on function public.read_analytics, public.read_all_analytics, public.list_contested, public.list_stale, public.read_gauges
  from public, anon, service_role;
grant execute on function public.read_analytics, public.read_all_analytics, public.list_contested, public.list_stale, public.read_gauges
  to authenticated;

-- What was there before, when these rows began to be kept.
select private.rebuild_rollups(p.id) from public.projects p;

revoke execute on all functions in schema private from public;
