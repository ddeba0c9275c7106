-- Pipelines: what agents and people report of a session's seven stages. Every report is kept; where a stage stands
-- now is made from its reports by a trigger, so that it can't say anything else.
--
-- A report has two times. `at` is when it held, and orders what a stage went through; `number` is the order in which
-- reports came in. The newest report is the one with the latest (at, number): one that comes late, about a time
-- before that, is history and takes nothing back.

create type public.stage_state as enum ('pending', 'in_progress', 'complete', 'failed', 'skipped');
comment on type public.stage_state is 'Where a stage of a session stands.';

create type public.stage_use as enum ('consumed', 'produced');
comment on type public.stage_use is 'What a stage did with a version: started from it, or made it.';

create table public.stage_events (
  id uuid primary key,
  project_id uuid not null references public.projects,
  session_id uuid not null,
  stage public.stage not null,
  number bigint not null constraint stage_events_number_positive check (number > 0),
  state public.stage_state not null,
  before public.stage_state not null,
  late boolean not null,
  run text constraint stage_events_run_form check (char_length(run) between 1 and 200 and run !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  actor_id uuid not null references public.profiles,
  actor public.actor_kind not null,
  agent text constraint stage_events_agent_form check (char_length(agent) between 1 and 100 and agent !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]'),
  on_behalf_of uuid references public.profiles,
  started_at timestamptz,
  finished_at timestamptz,
  at timestamptz not null,
  recorded_at timestamptz not null,
  checks integer constraint stage_events_checks_positive check (checks >= 0),
  errors integer constraint stage_events_errors_positive check (errors >= 0),
  warnings integer constraint stage_events_warnings_positive check (warnings >= 0),
  requires_input integer constraint stage_events_requires_input_positive check (requires_input >= 0),
  note text constraint stage_events_note_length check (octet_length(note) between 1 and 4096),
  sequence bigint not null,
  idempotency_key text constraint stage_events_idempotency_key_length check (char_length(idempotency_key) between 1 and 255),
  request_hash public.sha256_hex not null,
  constraint stage_events_number_key unique (project_id, session_id, number),
  constraint stage_events_session_fkey foreign key (project_id, session_id) references public.sessions (project_id, id),
  -- The event comes first, so that there is no report that nobody was told of.
  constraint stage_events_event_key unique (project_id, sequence),
  constraint stage_events_event_fkey foreign key (project_id, sequence) references public.events (project_id, sequence),
  constraint stage_events_validation_rule check (num_nonnulls(checks, errors, warnings, requires_input) in (0, 4)),
  constraint stage_events_times check (
    at <= recorded_at and started_at <= finished_at and started_at <= recorded_at and finished_at <= recorded_at
      and least(at, started_at, finished_at) >= '1900-01-01'),
  constraint stage_events_agent_named check ((actor = 'agent') = (agent is not null)),
  constraint stage_events_on_behalf_rule check (on_behalf_of is null or actor = 'agent' and on_behalf_of <> actor_id)
);
create index stage_events_time_idx on public.stage_events (session_id, stage, at, number);
create index stage_events_stage_idx on public.stage_events (session_id, stage, number);
create index stage_events_run_idx on public.stage_events (session_id, run, number) where run is not null;
create index stage_events_actor_idx on public.stage_events (actor_id);
create index stage_events_on_behalf_of_idx on public.stage_events (on_behalf_of) where on_behalf_of is not null;
create unique index stage_events_idempotency_key on public.stage_events (project_id, actor_id, idempotency_key)
  where idempotency_key is not null;
alter table public.stage_events enable row level security;

comment on table public.stage_events is 'Reports of where a stage of a session stood. Never change.';
comment on column public.stage_events.id is 'Stable id.';
comment on column public.stage_events.project_id is 'The project.';
comment on column public.stage_events.session_id is 'The session.';
comment on column public.stage_events.stage is 'The stage.';
comment on column public.stage_events.number is 'Its number in its session, from 1 without gaps, in order of recording.';
comment on column public.stage_events.state is 'The state that was reported.';
comment on column public.stage_events.before is 'The state that held just before `at`, by what was known when this was recorded.';
comment on column public.stage_events.late is 'Whether a newer report was known already, so that this one changed nothing but history.';
comment on column public.stage_events.run is 'The reporter''s id of its run, or null.';
comment on column public.stage_events.actor_id is 'The account that reported.';
comment on column public.stage_events.actor is 'A person, an agent, or an import of older records.';
comment on column public.stage_events.agent is 'The agent''s name, when an agent reported.';
comment on column public.stage_events.on_behalf_of is 'The owner for whom an agent acted; null for everybody else.';
comment on column public.stage_events.started_at is 'When the work began, by the reporter''s word, or null.';
comment on column public.stage_events.finished_at is 'When the work ended, by the reporter''s word, or null.';
comment on column public.stage_events.at is 'When the state held: what was reported, else when it was recorded.';
comment on column public.stage_events.recorded_at is 'When it was recorded, by this database''s clock; never before the session''s report before it.';
comment on column public.stage_events.checks is 'How many checks a validation made; null, as the next three, without a validation.';
comment on column public.stage_events.errors is 'How many errors it found.';
comment on column public.stage_events.warnings is 'How many warnings it gave.';
comment on column public.stage_events.requires_input is 'How many [REQUIRES INPUT] marks it counted.';
comment on column public.stage_events.note is 'What else is to be said, at most 4,096 bytes.';
comment on column public.stage_events.sequence is 'The number of its event: its place in the project''s order.';
comment on column public.stage_events.idempotency_key is 'The key under which a repeated request writes once.';
comment on column public.stage_events.request_hash is 'Hash of what was asked, to tell a repeat from another request with the same key.';

create table public.stage_event_versions (
  project_id uuid not null references public.projects,
  stage_event_id uuid not null references public.stage_events,
  role public.stage_use not null,
  version public.sha256_hex not null references public.versions,
  primary key (stage_event_id, role, version)
);
create index stage_event_versions_version_idx on public.stage_event_versions (version);
create index stage_event_versions_project_idx on public.stage_event_versions (project_id);
alter table public.stage_event_versions enable row level security;

comment on table public.stage_event_versions is 'The versions that a reported stage consumed and produced.';
comment on column public.stage_event_versions.project_id is 'The project.';
comment on column public.stage_event_versions.stage_event_id is 'The report.';
comment on column public.stage_event_versions.role is 'Consumed or produced.';
comment on column public.stage_event_versions.version is 'The version.';

create table public.stages (
  project_id uuid not null references public.projects,
  session_id uuid not null,
  stage public.stage not null,
  state public.stage_state not null default 'pending',
  since timestamptz not null,
  at timestamptz not null,
  report uuid references public.stage_events,
  primary key (project_id, session_id, stage),
  constraint stages_session_fkey foreign key (project_id, session_id) references public.sessions (project_id, id)
) with (fillfactor = 70);  -- each report updates one row in place
create index stages_report_idx on public.stages (report);
alter table public.stages enable row level security;

comment on table public.stages is 'Where each stage of a session stands: seven rows a session, made from stage_events.';
comment on column public.stages.project_id is 'The project.';
comment on column public.stages.session_id is 'The session.';
comment on column public.stages.stage is 'The stage.';
comment on column public.stages.state is 'The state of its newest report by (at, number); pending before the first.';
comment on column public.stages.since is 'From when on it has that state: `at` of the first of the newest reports that have it; the session''s start before the first.';
comment on column public.stages.at is '`at` of its newest report; the session''s start before the first.';
comment on column public.stages.report is 'Its newest report; null before the first.';

create policy "members read the stage reports of their projects" on public.stage_events
  for select to authenticated using (project_id in (select private.my_projects()));
create policy "members read what the stages of their projects used" on public.stage_event_versions
  for select to authenticated using (project_id in (select private.my_projects()));
create policy "members read the stages of their projects" on public.stages
  for select to authenticated using (project_id in (select private.my_projects()));
revoke all on public.stage_events, public.stage_event_versions, public.stages from anon, authenticated, service_role;
grant select on public.stage_events, public.stage_event_versions, public.stages to authenticated, service_role;

create trigger stage_events_are_history before update or delete on public.stage_events
  for each row execute function private.refuse_rewrite();
create trigger stage_events_are_kept before truncate on public.stage_events
  for each statement execute function private.refuse_rewrite();
create trigger stage_event_versions_are_history before update or delete on public.stage_event_versions
  for each row execute function private.refuse_rewrite();
create trigger stage_event_versions_are_kept before truncate on public.stage_event_versions
  for each statement execute function private.refuse_rewrite();

-- What may follow what --------------------------------------------------------------------------
-- docs/pipelines.md says why; a test holds its table and this one together.

create function private.states_after(state public.stage_state)
returns public.stage_state[]
language sql immutable
set search_path = ''
as $$
  select case state
    when 'pending' then '{in_progress,skipped}'
    when 'in_progress' then '{in_progress,complete,failed,skipped,pending}'
    when 'failed' then '{in_progress,skipped}'
    when 'complete' then '{in_progress}'
    when 'skipped' then '{in_progress}'
  end::public.stage_state[]
$$;
comment on function private.states_after is 'The states that may be reported of a stage in a state.';

create function private.stage_state_at(project uuid, session uuid, stage public.stage, moment timestamptz)
returns public.stage_state
language sql stable
set search_path = ''
as $$
  select coalesce((
    select e.state from public.stage_events e
    where e.project_id = project and e.session_id = session and e.stage = stage_state_at.stage and e.at <= moment
    order by e.at desc, e.number desc limit 1), 'pending')
$$;
comment on function private.stage_state_at is 'The state that a stage had at a moment, by the reports that are known; pending before the first.';

-- The rules hold for whoever writes the row: reports, imports, bundles.
create function private.follow_stage()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  held public.stages;
  previous record;
begin
  -- The row is the lock of its stage, besides the project's, which whoever adds an event holds.
  select * into held from public.stages s
  where s.project_id = new.project_id and s.session_id = new.session_id and s.stage = new.stage for no key update;
  select e.number, e.recorded_at into previous from public.stage_events e
  where e.project_id = new.project_id and e.session_id = new.session_id order by e.number desc limit 1;
  if new.number <> coalesce(previous.number, 0) + 1 or new.recorded_at < previous.recorded_at
    or new.late is distinct from (held.report is not null and new.at < held.at)
    or new.before is distinct from private.stage_state_at(new.project_id, new.session_id, new.stage, new.at) then
    perform private.fail(409, 'broken_chain', 'A stage report follows the newest one of its session and says what it found.',
      jsonb_build_object('session', new.session_id, 'stage', new.stage, 'number', new.number));
  end if;
  -- An import tells what older records said last: they kept no way there.
  if not (new.state = any (private.states_after(new.before)) or new.actor = 'import' and held.report is null) then
    perform private.fail(409, 'bad_transition',
      format('The stage %s is %s, and can''t become %s from there. Allowed: %s.', new.stage, new.before, new.state,
        array_to_string(private.states_after(new.before), ', ')),
      jsonb_build_object('stage', new.stage, 'state', new.before, 'wanted', new.state, 'allowed', to_jsonb(private.states_after(new.before))));
  end if;
  return new;
end
$$;
comment on function private.follow_stage is 'Refuses a report that does not follow from what is known of its stage.';
create trigger follow_stage before insert on public.stage_events
  for each row execute function private.follow_stage();

create function private.keep_stage()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  if not new.late then
    update public.stages s set
      state = new.state, at = new.at, report = new.id,
      since = case when s.report is not null and s.state = new.state then s.since else new.at end
    where s.project_id = new.project_id and s.session_id = new.session_id and s.stage = new.stage;
  else
    -- What it says of the past may move when the present state began: another state in between, or the same one
    -- just before. Nothing else changes.
    update public.stages s set since = case
      when s.state <> new.state and new.at >= s.since then (
        select e.at from public.stage_events e
        where e.session_id = new.session_id and e.stage = new.stage and e.at > new.at order by e.at limit 1)
      when s.state = new.state and new.at < s.since and new.at >= coalesce((
        select e.at from public.stage_events e
        where e.session_id = new.session_id and e.stage = new.stage and e.at <= s.since and e.state <> new.state
        order by e.at desc limit 1), '-infinity') then new.at
      else s.since end
    where s.project_id = new.project_id and s.session_id = new.session_id and s.stage = new.stage;
  end if;
  return null;
end
$$;
comment on function private.keep_stage is 'Keeps stages equal to what its reports say.';
create trigger keep_stage after insert on public.stage_events
  for each row execute function private.keep_stage();

create function private.begin_stages()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  insert into public.stages (project_id, session_id, stage, since, at)
  select new.project_id, new.id, s, new.created_at, new.created_at from unnest(enum_range(null::public.stage)) s;
  return null;
end
$$;
comment on function private.begin_stages is 'Gives a new session its seven pending stages.';
create trigger begin_stages after insert on public.sessions
  for each row execute function private.begin_stages();
insert into public.stages (project_id, session_id, stage, since, at)
select s.project_id, s.id, x, s.created_at, s.created_at from public.sessions s, unnest(enum_range(null::public.stage)) x;

create function private.check_stage_version()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  if not exists (select from public.versions v where v.hash = new.version and v.project_id = new.project_id)
    or not exists (select from public.stage_events e where e.id = new.stage_event_id and e.project_id = new.project_id) then
    perform private.fail(422, 'version_elsewhere', 'A stage uses versions of its own project.', jsonb_build_object('version', new.version));
  end if;
  return new;
end
$$;
comment on function private.check_stage_version is 'Refuses a used version of another project.';
create trigger check_stage_version before insert on public.stage_event_versions
  for each row execute function private.check_stage_version();

-- Bundles (migration 1900) ------------------------------------------------------------------------

create function private.restore_stage_events(project uuid, after bigint)
returns void
language plpgsql
set search_path = ''
as $$
declare
  here jsonb := jsonb_build_object('project_id', project);
  report public.stage_events;
begin
  -- One by one: the rules above hold for each after those before it, and make the stages anew.
  for report in
    select r.* from private.restore_rows s, jsonb_populate_record(null::public.stage_events, s.data || here) r
    where s.project_id = project and s.part = 'stage_events' and r.sequence > after order by r.sequence
  loop
    insert into public.stage_events values (report.*);
  end loop;
  insert into public.stage_event_versions (project_id, stage_event_id, role, version)
  select project, (s.data ->> 'id')::uuid, (u ->> 'role')::public.stage_use, u ->> 'version'
  from private.restore_rows s, jsonb_array_elements(s.data -> 'versions') u
  where s.project_id = project and s.part = 'stage_events' and (s.data ->> 'sequence')::bigint > after;
end
$$;
comment on function private.restore_stage_events is 'Writes the stage reports of a bundle that are not here yet.';

revoke execute on all functions in schema private from public;
