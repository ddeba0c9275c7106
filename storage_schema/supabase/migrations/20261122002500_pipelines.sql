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
create index stage_events_stage_idx on public.stage_events (project_id, session_id, stage, number);
create index stage_events_run_idx on public.stage_events (project_id, session_id, run, number) where run is not null;
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
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read what the stages of their projects used" on public.stage_event_versions
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
create policy "members read the stages of their projects" on public.stages
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
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

-- What a project may ask of whoever completes a stage -------------------------------------------
-- Documents and verdicts are written under the project's lock, as reports are, so none slips in between.

create function private.stage_document(stage public.stage)
returns text
language sql immutable
set search_path = ''
as $$
  select case stage
    when 'intent' then 'intents/intent.md' when 'context' then 'contexts/context.md' when 'spec' then 'specs/spec.md'
    when 'plan' then 'plans/plan.md' when 'tasks' then 'tasks/tasks.md'
    when 'implementation' then 'implementation/README.md' when 'feedback' then 'feedback/feedback.md' end
$$;
comment on function private.stage_document is 'A stage''s own document, below its session''s root.';

create function private.require_completion(report public.stage_events)
returns void
language plpgsql stable
set search_path = ''
as $$
declare
  asked record;
  wanted text;
begin
  select p.completion_needs_document as document, p.completion_needs_validation as validation into asked
  from public.projects p where p.id = report.project_id;
  select s.root || '/' || private.stage_document(report.stage) into wanted from public.sessions s where s.id = report.session_id;
  if asked.document and not exists (
    select from public.documents d where d.project_id = report.project_id and d.path = wanted and d.live) then
    perform private.fail(409, 'document_needed',
      format('To be complete, the stage %s needs its document. Write it to %s first.', report.stage, wanted),
      jsonb_build_object('stage', report.stage, 'path', wanted));
  end if;
  if asked.validation and not coalesce(report.errors = 0 and report.requires_input = 0, false) then
    perform private.fail(409, 'validation_needed',
      case when report.checks is null
        then format('To be complete, the stage %s needs a validation: send what it found with the report.', report.stage)
        else format('To be complete, the stage %s needs a validation without errors and without [REQUIRES INPUT]; this found %s and %s.',
          report.stage, report.errors, report.requires_input) end,
      jsonb_build_object('stage', report.stage, 'errors', report.errors, 'requires_input', report.requires_input));
  end if;
  perform private.require_stage_approval(report.project_id, report.session_id, report.stage);
end
$$;
comment on function private.require_completion is
  'Refuses the completion of a stage that lacks its document, its validation or approvals, in projects with those rules.';

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
  if new.state = 'complete' and not new.late then
    perform private.require_completion(new);
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
    perform private.fail(409, 'broken_chain', 'A stage uses versions of its own project.', jsonb_build_object('version', new.version));
  end if;
  return new;
end
$$;
comment on function private.check_stage_version is 'Refuses a used version of another project.';
create trigger check_stage_version before insert on public.stage_event_versions
  for each row execute function private.check_stage_version();

-- Reporting -------------------------------------------------------------------------------------

-- An array of hashes and of {"path": …}, which is the version that the path has now.
create function private.used_versions(project uuid, asked jsonb)
returns text[]
language plpgsql stable
set search_path = ''
as $$
declare
  item jsonb;
  found_hash text;
  used text[] := '{}';
begin
  if asked is null then
    return used;
  elsif jsonb_typeof(asked) <> 'array' or jsonb_array_length(asked) > 1000 then
    perform private.fail(422, 'bad_value', 'What a stage consumed and produced are lists of at most 1,000 versions each.');
  end if;
  for item in select value from jsonb_array_elements(asked) loop
    if jsonb_typeof(item) = 'string' then
      select v.hash into found_hash from public.versions v where v.hash = item #>> '{}' and v.project_id = project;
      if found_hash is null then
        perform private.fail(404, 'version_not_found', 'There is no such version in this project.', jsonb_build_object('version', item));
      end if;
    elsif jsonb_typeof(item -> 'path') = 'string' then
      select d.head into found_hash from public.documents d where d.project_id = project and d.path = item ->> 'path' and d.live;
      if found_hash is null then
        perform private.fail(404, 'document_not_found', 'There is no document at that path now.', jsonb_build_object('path', item -> 'path'));
      end if;
    else
      perform private.fail(422, 'bad_value', 'A version is named by its hash, or by {"path": …} for the one that is there now.');
    end if;
    used := used || found_hash;
  end loop;
  return array(select distinct u from unnest(used) u);
end
$$;
comment on function private.used_versions is 'The versions that a report names, by hash or by path.';

create function private.report_stage(
  project uuid, session uuid, stage public.stage, state public.stage_state, run text, at timestamptz,
  started_at timestamptz, finished_at timestamptz, checks integer, errors integer, warnings integer, requires_input integer,
  consumed jsonb, produced jsonb, note text, expected text, imported boolean, idempotency_key text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  caller uuid := auth.uid();  -- a variable for the plan's sake, as in write_comment
  clock timestamptz;
  newest timestamptz;
  prior record;
  home public.sessions;
  held public.stages;
  made public.stage_events;
begin
  perform private.lock_project(project, case when imported then 'owner' else 'editor' end::public.member_role);
  select * into home from public.sessions s where s.id = session and s.project_id = project;
  if home.id is null then
    perform private.fail(404, 'session_not_found', 'There is no such session in this project.');
  end if;
  perform private.require_inside(project, home.root);
  made.request_hash := private.hash_of(jsonb_build_array(session, stage, state, run, at, started_at, finished_at,
    checks, errors, warnings, requires_input, consumed, produced, note, imported)::text);
  if idempotency_key is not null then
    select e.id, e.request_hash into prior from public.stage_events e
    where e.project_id = project and e.actor_id = caller and e.idempotency_key = report_stage.idempotency_key;
    if prior.request_hash = made.request_hash then
      return prior.id;
    elsif prior.id is not null then
      perform private.refuse_reused_key();
    end if;
  end if;
  if stage is null or state is null then
    perform private.fail(422, 'bad_value', 'A report says a stage and its state.');
  end if;
  -- The lock of the stage, taken before its newest report is asked for.
  select * into held from public.stages s
  where s.project_id = project and s.session_id = session and s.stage = report_stage.stage for no key update;
  if expected is not null and expected is distinct from coalesce(held.report::text, 'none') then
    perform private.fail(412, 'stage_moved',
      format('Somebody reported of the stage %s since: it is %s. Read it again.', stage, held.state),
      jsonb_build_object('stage', stage, 'state', held.state, 'report', held.report));
  end if;

  -- Read after the lock, and never before what was recorded last: then the order of recording is one of time too.
  clock := greatest(clock_timestamp(), held.at);
  select e.number, e.recorded_at into made.number, newest from public.stage_events e
  where e.project_id = project and e.session_id = session order by e.number desc limit 1;
  clock := greatest(clock, newest);
  if greatest(at, started_at, finished_at) > clock + interval '1 minute' then
    perform private.fail(422, 'bad_value', 'A report tells of the past, and a time in it is in the future: set the clock right.');
  elsif least(at, started_at, finished_at) < '1900-01-01' then
    perform private.fail(422, 'bad_value', 'A time in the report is before 1900.');
  end if;
  made.id := gen_random_uuid();
  made.project_id := project;
  made.session_id := session;
  made.stage := stage;
  made.number := coalesce(made.number, 0) + 1;
  made.state := state;
  -- A clock that is a little ahead: what it says is now.
  made.at := least(coalesce(at, clock), clock);
  made.started_at := least(started_at, case when started_at is not null then clock end);
  made.finished_at := least(finished_at, case when finished_at is not null then clock end);
  made.recorded_at := clock;
  if started_at > finished_at then
    perform private.fail(422, 'bad_value', 'A stage finishes after it started: finished_at is before started_at.');
  end if;
  made.before := private.stage_state_at(project, session, stage, made.at);
  made.late := held.report is not null and made.at < held.at;
  made.run := nullif(run, '');
  if num_nonnulls(checks, errors, warnings, requires_input) not in (0, 4) or least(checks, errors, warnings, requires_input) < 0 then
    perform private.fail(422, 'bad_value', 'A validation has four counts: checks, errors, warnings, requires_input; none below 0.');
  elsif char_length(run) > 200 or run ~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]' then
    perform private.fail(422, 'bad_value', 'A run''s id has at most 200 characters, none of them a control character.');
  elsif octet_length(note) > 4096 then
    perform private.fail(422, 'bad_value', 'A note has at most 4,096 bytes. Write more into a document.');
  end if;
  made.checks := checks;
  made.errors := errors;
  made.warnings := warnings;
  made.requires_input := requires_input;
  made.note := nullif(note, '');
  made.actor_id := caller;
  select a.kind, a.agent into made.actor, made.agent from private.actor() a;
  if imported then
    made.actor := 'import';
    made.agent := null;
  end if;
  made.on_behalf_of := case when made.actor = 'agent' then private.on_behalf_of(project) end;
  made.idempotency_key := idempotency_key;
  perform private.add_event(project, 'stage.reported', jsonb_build_object(
    'session', session, 'slug', home.slug, 'stage', stage, 'report', made.id, 'before', made.before, 'state', state,
    'run', made.run, 'late', made.late));
  select p.event_sequence into made.sequence from public.projects p where p.id = project;
  insert into public.stage_events values (made.*);
  insert into public.stage_event_versions (project_id, stage_event_id, role, version)
  select project, made.id, 'consumed'::public.stage_use, u from unnest(private.used_versions(project, consumed)) u
  union all
  select project, made.id, 'produced'::public.stage_use, u from unnest(private.used_versions(project, produced)) u;
  return made.id;
end
$$;
comment on function private.report_stage is 'Writes a report of a stage and its event under the project''s lock; the same one again under the same key is written once. Editors; imports by owners.';
grant execute on function private.report_stage to authenticated;

-- Reading ---------------------------------------------------------------------------------------

create view public.stage_report_details with (security_invoker = true) as
  select e.id, e.project_id as project, e.session_id as session, e.stage, e.number, e.state, e.before, e.late, e.run,
         coalesce(to_jsonb(p), jsonb_build_object('id', e.actor_id)) as reporter, e.actor, e.agent,
         case when e.on_behalf_of is not null then coalesce(to_jsonb(o), jsonb_build_object('id', e.on_behalf_of)) end as on_behalf_of,
         e.started_at, e.finished_at, e.at, e.recorded_at,
         case when e.checks is not null then jsonb_build_object(
           'checks', e.checks, 'errors', e.errors, 'warnings', e.warnings, 'requires_input', e.requires_input) end as validation,
         e.note, u.consumed, u.produced, e.sequence
  from public.stage_events e
  left join public.people p on p.id = e.actor_id
  left join public.people o on o.id = e.on_behalf_of
  cross join lateral (
    select coalesce(jsonb_agg(x.used order by x.path, x.number) filter (where x.role = 'consumed'), '[]') as consumed,
           coalesce(jsonb_agg(x.used order by x.path, x.number) filter (where x.role = 'produced'), '[]') as produced
    from (select w.role, v.path, v.number, jsonb_build_object(
            'version', v.hash, 'document', v.document_id, 'number', v.number, 'path', v.path) as used
          from public.stage_event_versions w join public.versions v on v.hash = w.version where w.stage_event_id = e.id) x) u;
comment on view public.stage_report_details is 'Stage reports as answers show them.';
revoke all on public.stage_report_details from anon, authenticated, service_role;
grant select on public.stage_report_details to authenticated;

create function private.states_from(state public.stage_state)
returns jsonb
language sql immutable
set search_path = ''
as $$ select to_jsonb(private.states_after(state)) $$;
comment on function private.states_from is 'The states that may be reported next, as answers show them.';
grant execute on function private.states_from, private.states_after to authenticated;

create function public.read_stages(project text, session text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  home uuid := private.session_id(target, session);
  documents jsonb;
begin
  select jsonb_object_agg(w.stage, w.listed) into documents from (
    select d.stage, jsonb_agg(jsonb_build_object(
        'document', d.id, 'path', d.path, 'head', d.head, 'head_number', d.head_number, 'review', r.state) order by d.path) as listed
    from (select * from public.documents d
          where d.project_id = target and d.session_id = home and d.stage is not null and d.live order by d.path limit 1000) d
    join private.review_state(array(
      select x.head::text from public.documents x
      where x.project_id = target and x.session_id = home and x.stage is not null and x.live order by x.path limit 1000)) r
      on r.version = d.head
    group by d.stage) w;
  return (select jsonb_build_object(
      'session', jsonb_build_object('id', s.id, 'project', s.project_id, 'slug', s.slug, 'title', s.title, 'type', s.type, 'status', s.status),
      'stages', (
        select jsonb_agg(jsonb_build_object(
            'stage', g.stage, 'state', g.state, 'since', g.since, 'allowed', private.states_from(g.state),
            'report', to_jsonb(d), 'documents', coalesce(documents -> g.stage::text, '[]')) order by g.stage)
        from public.stages g left join public.stage_report_details d on d.id = g.report
        where g.project_id = target and g.session_id = home))
    from public.sessions s where s.id = home);
end
$$;
comment on function public.read_stages is 'Where the seven stages of a session stand: state, since when, newest report, documents with what reviewers say of their heads.';

create function public.report_stage(
  project text, session text, stage public.stage, state public.stage_state, run text default null, at timestamptz default null,
  started_at timestamptz default null, finished_at timestamptz default null, checks integer default null,
  errors integer default null, warnings integer default null, requires_input integer default null,
  consumed jsonb default null, produced jsonb default null, note text default null, expected text default null,
  imported boolean default false, idempotency_key text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  home uuid := private.project_id(project);
  made uuid := private.report_stage(home, private.session_id(home, session), stage, state, run, at, started_at, finished_at,
    checks, errors, warnings, requires_input, consumed, produced, note, expected, coalesce(imported, false), idempotency_key);
begin
  return (select to_jsonb(d) from public.stage_report_details d where d.id = made);
end
$$;
comment on function public.report_stage is
  'Reports the state of a stage. expected is the id of its newest report as the caller knows it, or none: refused when there is another one.';

create function public.read_stage_report(report uuid)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  answer jsonb := (select to_jsonb(d) from public.stage_report_details d where d.id = report);
begin
  if answer is null then
    perform private.fail(404, 'report_not_found', 'There is no such stage report, or you are not a member of its project.');
  end if;
  return answer;
end
$$;
comment on function public.read_stage_report is 'One report of a stage.';

-- As its owner: row security holds the comparison of stages for leaky, so under it their index would be of no use.
-- And a branch for each filter: a plan that serves all of them would read a session's whole history for the rarest.
create function private.stage_report_page(
  project uuid, session uuid, stage public.stage, run text, below bigint, size integer)
returns uuid[]
language plpgsql stable security definer
set search_path = ''
as $$
begin
  perform private.require_role(project, 'reader');
  if run is not null then
    return array(
      select e.id from public.stage_events e
      where e.project_id = project and e.session_id = session and e.run = stage_report_page.run and e.number < below
        and (stage_report_page.stage is null or e.stage = stage_report_page.stage)
      order by e.number desc limit size);
  elsif stage is not null then
    return array(
      select e.id from public.stage_events e
      where e.project_id = project and e.session_id = session and e.stage = stage_report_page.stage and e.number < below
      order by e.number desc limit size);
  end if;
  return array(
    select e.id from public.stage_events e
    where e.project_id = project and e.session_id = session and e.number < below order by e.number desc limit size);
end
$$;
comment on function private.stage_report_page is 'The ids of a page of a session''s reports, for members.';
grant execute on function private.stage_report_page to authenticated;

create function public.list_stage_reports(
  project text, session text, stage public.stage default null, run text default null, before bigint default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  page uuid[] := private.stage_report_page(target, private.session_id(target, session), stage, run,
    coalesce(before, 9223372036854775807), private.page_rows(page_size));
begin
  return (select coalesce(jsonb_agg(to_jsonb(d) order by d.number desc), '[]')
          from public.stage_report_details d where d.id = any (page));
end
$$;
comment on function public.list_stage_reports is 'A session''s stage reports in the order of recording, newest first; before is the number of the last one seen.';

create function private.pipeline_answer(sessions uuid[])
returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'session', jsonb_build_object('id', s.id, 'project', s.project_id, 'slug', s.slug, 'title', s.title, 'type', s.type, 'status', s.status),
      'project', jsonb_build_object('id', p.id, 'slug', p.slug, 'name', p.name),
      'stages', w.stages) order by o.n), '[]')
  from unnest(sessions) with ordinality o (id, n)
  join public.sessions s on s.id = o.id
  join public.projects p on p.id = s.project_id
  cross join lateral (
    select jsonb_agg(jsonb_build_object(
        'stage', g.stage, 'state', g.state, 'since', g.since, 'run', e.run, 'report', g.report, 'actor', e.actor, 'agent', e.agent,
        'validation', case when e.checks is not null then jsonb_build_object(
          'checks', e.checks, 'errors', e.errors, 'warnings', e.warnings, 'requires_input', e.requires_input) end) order by g.stage) as stages
    from public.stages g left join public.stage_events e on e.id = g.report
    where g.project_id = s.project_id and g.session_id = s.id) w
$$;
comment on function private.pipeline_answer is 'Sessions with where their stages stand, in the given order.';
grant execute on function private.pipeline_answer to authenticated;

create function public.list_pipelines(
  project text, status public.session_status default null, stage public.stage default null, state public.stage_state default null,
  after text default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
begin
  return private.pipeline_answer(array(
    select s.id from public.sessions s
    where s.project_id = target and s.slug > coalesce(after, '')
      and (list_pipelines.status is null or s.status = list_pipelines.status)
      and (list_pipelines.state is null or exists (
        select from public.stages g
        where g.project_id = target and g.session_id = s.id and g.state = list_pipelines.state
          and (list_pipelines.stage is null or g.stage = list_pipelines.stage)))
    order by s.slug limit private.page_rows(page_size)));
end
$$;
comment on function public.list_pipelines is
  'A project''s sessions by slug with where their stages stand: of a status, with a stage (any, or the named one) in a state. after is the last slug seen.';

-- Project by project, and no further than the page needs: what strangers have is never walked over. With its owner's
-- rights, and the caller asked once: under row security each project would ask for all memberships anew.
create function private.all_pipelines_page(
  status public.session_status, stage public.stage, state public.stage_state, after text, size integer)
returns uuid[]
language plpgsql stable security definer
set search_path = ''
as $$
declare
  page uuid[] := '{}';
  home record;
begin
  -- A blank sorts before everything that a slug may hold: this is the order of (project's slug, its id, session's slug).
  for home in
    select d.id, d.slug || ' ' || d.id as place from public.project_details d
    where after is null or d.slug || ' ' || d.id >= split_part(after, ' ', 1) || ' ' || split_part(after, ' ', 2)
    order by place
  loop
    page := page || array(
      select s.id from public.sessions s
      where s.project_id = home.id
        and s.slug > case when starts_with(after, home.place || ' ') then split_part(after, ' ', 3) else '' end
        and (all_pipelines_page.status is null or s.status = all_pipelines_page.status)
        and (all_pipelines_page.state is null or exists (
          select from public.stages g
          where g.project_id = home.id and g.session_id = s.id and g.state = all_pipelines_page.state
            and (all_pipelines_page.stage is null or g.stage = all_pipelines_page.stage)))
      order by s.slug limit size - cardinality(page));
    exit when cardinality(page) >= size;
  end loop;
  return page;
end
$$;
comment on function private.all_pipelines_page is 'A page of the sessions of all projects of the caller.';
grant execute on function private.all_pipelines_page to authenticated;
create function public.list_all_pipelines(
  status public.session_status default null, stage public.stage default null, state public.stage_state default null,
  after text default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
  return private.pipeline_answer(private.all_pipelines_page(status, stage, state, after, private.page_rows(page_size)));
end
$$;
comment on function public.list_all_pipelines is
  'As list_pipelines, of all projects that the caller is in, by project and session. after is "project''s slug, its id, session''s slug" of the last one seen, with blanks between.';

revoke execute on function public.report_stage, public.read_stages, public.read_stage_report, public.list_stage_reports,
  public.list_pipelines, public.list_all_pipelines from public, anon, service_role;
grant execute on function public.report_stage, public.read_stages, public.read_stage_report, public.list_stage_reports,
  public.list_pipelines, public.list_all_pipelines to authenticated;

-- Bundles (migration 1900) ------------------------------------------------------------------------

create function private.restore_stage_events(project uuid, after bigint)
returns void
language plpgsql
set search_path = ''
as $$
declare
  here jsonb := jsonb_build_object('project_id', project);
  report public.stage_events;
  astray bigint;
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
  -- The newest report of a session could be left out and the rules above would hold: its event would not.
  select coalesce(e.sequence, r.sequence) into astray
  from (select * from public.events e where e.project_id = project and e.kind = 'stage.reported') e
  full join (select * from public.stage_events r where r.project_id = project) r on r.sequence = e.sequence
  where (e.payload ->> 'report', e.payload ->> 'stage', e.payload ->> 'state') is distinct from (r.id::text, r.stage::text, r.state::text)
  limit 1;
  if astray is not null then
    perform private.refuse_restore('A stage report and its event don''t agree.', jsonb_build_object('event', astray));
  end if;
end
$$;
comment on function private.restore_stage_events is 'Writes the stage reports of a bundle that are not here yet.';

revoke execute on all functions in schema private from public;
