-- The outbox: everything that happens in a project is a row here, written in the same transaction,
-- numbered without gaps under the project's lock. Live updates and audits read it; it never changes.

create table public.events (
  project_id uuid not null references public.projects,
  sequence bigint not null constraint events_sequence_positive check (sequence > 0),
  kind text not null constraint events_kind_form check (kind ~ '^[a-z]+\.[a-z_]+$'),
  actor_id uuid references public.profiles,
  change_sequence bigint,
  payload jsonb not null default '{}',
  created_at timestamptz not null default now(),
  primary key (project_id, sequence)
);
create index events_actor_id_idx on public.events (actor_id);
alter table public.events enable row level security;

comment on table public.events is 'What happened in a project, in order, without gaps.';
comment on column public.events.project_id is 'The project.';
comment on column public.events.sequence is 'The event''s number in its project, from 1.';
comment on column public.events.kind is 'What happened, as noun.verb: change.added, member.role_set, session.added, …';
comment on column public.events.actor_id is 'Who did it.';
comment on column public.events.change_sequence is 'The change it tells of, or null.';
comment on column public.events.payload is 'What a reader needs besides; never content of documents.';
comment on column public.events.created_at is 'When.';

create policy "members read the events of their projects" on public.events
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.events from anon, authenticated, service_role;
grant select on public.events to authenticated, service_role;

create trigger events_are_history before update or delete on public.events
  for each row execute function private.refuse_rewrite();
create trigger events_are_kept before truncate on public.events
  for each statement execute function private.refuse_rewrite();

-- Call it with the project's lock held: the update takes the lock anyway, so numbers cannot race.
create function private.add_event(project uuid, kind text, payload jsonb default '{}', change_sequence bigint default null)
returns void
language plpgsql security definer
set search_path = ''
as $$
declare
  upcoming bigint;
begin
  update public.projects p set event_sequence = p.event_sequence + 1 where p.id = project
  returning p.event_sequence into upcoming;
  insert into public.events (project_id, sequence, kind, actor_id, change_sequence, payload)
  values (project, upcoming, add_event.kind, auth.uid(), add_event.change_sequence, add_event.payload);
end
$$;
comment on function private.add_event is 'Writes the next event of a project, by the caller.';

revoke execute on all functions in schema private from public;
