-- Agents: accounts that an owner made for one project, and that act for that owner.
--
-- Who makes accounts is Supabase Auth, under the secret key; what they may do is decided here. An account becomes an
-- agent by two words together: Auth's, in app_metadata, which no account can write itself (verso_agent its name,
-- verso_project, verso_owner), and an owner's, who registers it under their own token. So nobody can make an agent of
-- somebody else's account, and who holds the secret key makes none in a project that isn't theirs.
--
-- For whom an agent acts is not the agent's to say: it is the owner who was given its credential last, by making it
-- or by rotating. It acts only while that person is an owner, so its rights never outlive or exceed theirs.

create table public.agents (
  account_id uuid primary key references public.profiles,
  project_id uuid not null references public.projects,
  name public.slug not null,
  acts_for uuid not null references public.profiles,
  made_by uuid not null references public.profiles,
  made_at timestamptz not null default now(),
  rotated_at timestamptz,
  revoked_at timestamptz,
  constraint agents_act_for_others check (account_id not in (acts_for, made_by))
);
create unique index agents_name_key on public.agents (project_id, name) where revoked_at is null;
create index agents_project_id_idx on public.agents (project_id, name, made_at);
create index agents_acts_for_idx on public.agents (acts_for);
create index agents_made_by_idx on public.agents (made_by);
alter table public.agents enable row level security;

comment on table public.agents is 'Accounts that owners made for a project''s programs. A row stays when its agent is revoked.';
comment on column public.agents.account_id is 'The agent''s own account.';
comment on column public.agents.project_id is 'The one project that it may belong to.';
comment on column public.agents.name is 'The name that history shows; unique among the project''s agents that are not revoked.';
comment on column public.agents.acts_for is 'For whom it acts: the owner who was given its credential last.';
comment on column public.agents.made_by is 'The owner who made it.';
comment on column public.agents.made_at is 'When it was registered.';
comment on column public.agents.rotated_at is 'When it got another credential, last; null when it has its first.';
comment on column public.agents.revoked_at is 'Since when it may do nothing, for ever; or null.';

create policy "members read the agents of their projects" on public.agents
  for select to authenticated using ((project_id = any (array(select m.project_id from private.my_memberships m))) is true);
revoke all on public.agents from anon, authenticated, service_role;
grant select on public.agents to authenticated, service_role;

create view public.agent_details with (security_invoker = true) as
  select a.account_id as id, a.project_id as project, a.name::text, m.role, to_jsonb(p) ->> 'handle' as handle,
         coalesce(to_jsonb(f), jsonb_build_object('id', a.acts_for)) as acts_for,
         coalesce(to_jsonb(b), jsonb_build_object('id', a.made_by)) as made_by,
         a.made_at, a.rotated_at, a.revoked_at,
         a.revoked_at is null and m.role is not null and coalesce(o.role = 'owner', false) as active
  from public.agents a
  left join public.members m on m.user_id = a.account_id and m.project_id = a.project_id
  left join public.members o on o.user_id = a.acts_for and o.project_id = a.project_id
  left join public.people p on p.id = a.account_id
  left join public.people f on f.id = a.acts_for
  left join public.people b on b.id = a.made_by;
comment on view public.agent_details is 'Agents as answers show them; active while they are members and the one they act for is an owner.';
revoke all on public.agent_details from anon, authenticated, service_role;
grant select on public.agent_details to authenticated;

-- Who the caller is -----------------------------------------------------------------------------

-- A token is good for up to an hour; an agent's rights end with its session, so at once when it is rotated or
-- revoked. A function, so that the view below costs everybody else one look into an index and no more.
create function private.this_agent_rests()
returns boolean
language plpgsql stable security definer
set search_path = ''
as $$
begin
  return not exists (
    select from public.agents a
    join public.members m on m.user_id = a.acts_for and m.project_id = a.project_id and m.role = 'owner'
    join public.profiles f on f.id = a.acts_for and f.account_deleted_at is null
    join auth.sessions s on s.user_id = a.account_id and s.id = private.uuid_or_null(auth.jwt() ->> 'session_id')
    where a.account_id = auth.uid() and a.revoked_at is null);
end
$$;
comment on function private.this_agent_rests is
  'Whether the caller, an agent, may do nothing now: it was revoked, its session ended, or its person is no owner.';
grant execute on function private.this_agent_rests to authenticated;

create or replace view private.my_account with (security_barrier) as
  select p.id from public.profiles p
  where p.id = (select auth.uid()) and p.account_deleted_at is null
    and not exists (select from public.agents a where a.account_id = p.id and private.this_agent_rests());
comment on view private.my_account is
  'The caller''s account; none when it is deleted, has no profile yet, or is an agent that was revoked, whose session ended, or whose person is no owner any more.';

create or replace function private.actor()
returns table (kind public.actor_kind, agent text)
language sql stable
set search_path = ''
as $$
  -- app_metadata can be written by the project's operator only, never by the account itself.
  select case when a.name is null then 'human' else 'agent' end::public.actor_kind, a.name
  from (select coalesce(
    (select g.name::text from public.agents g where g.account_id = (select auth.uid())),
    nullif(left(auth.jwt() -> 'app_metadata' ->> 'verso_agent', 100), '')) as name) a
$$;

create function private.on_behalf_of(project uuid)
returns uuid
language sql stable
set search_path = ''
as $$ select a.acts_for from public.agents a where a.account_id = (select auth.uid()) and a.project_id = project $$;
comment on function private.on_behalf_of is 'For whom the caller acts in a project: null when they are no registered agent of it.';

-- A trigger, so that whatever makes members keeps to it: set_member, invitations, bundles.
create function private.bind_agent()
returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
  if exists (
    select from public.agents a where a.account_id = new.user_id
      and (a.project_id <> new.project_id or a.revoked_at is not null or new.role = 'owner')) then
    perform private.fail(403, 'agent_bound',
      'An agent belongs to the one project that it was made for, never owns it, and does not come back once it is revoked.');
  end if;
  return new;
end
$$;
comment on function private.bind_agent is 'Refuses to make an agent a member elsewhere, an owner, or, once it is revoked, anything.';
create trigger bind_agent before insert or update on public.members
  for each row execute function private.bind_agent();

-- Making, rotating, revoking --------------------------------------------------------------------

create function private.agent_id(project uuid, agent text)
returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
  found_id uuid;
begin
  select a.account_id into found_id from public.agents a
  where a.project_id = project and (a.account_id = private.uuid_or_null(lower(agent)) or a.name = agent)
  order by a.revoked_at is null desc, a.made_at desc limit 1;
  if found_id is null then
    perform private.fail(404, 'agent_not_found', 'The project has no agent of that name or id.');
  end if;
  return found_id;
end
$$;
comment on function private.agent_id is 'The account of a project''s agent, by id or name; 404 when there is none.';

create function private.refuse_agents()
returns void
language plpgsql
set search_path = ''
as $$
begin
  if (select a.kind from private.actor() a) = 'agent' then
    perform private.fail(403, 'agent_bound', 'An agent makes and keeps no agents: a person does.');
  end if;
end
$$;
comment on function private.refuse_agents is 'Refuses a caller who is an agent what only persons may do.';

create function private.prepare_agent(project uuid, name text, role public.member_role)
returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
begin
  perform private.require_role(project, 'owner');
  perform private.refuse_agents();
  perform private.refuse_archived(p.archived_at) from public.projects p where p.id = project;
  if name !~ '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' or private.uuid_or_null(name) is not null then
    perform private.fail(422, 'bad_agent', 'An agent''s name has 1 to 64 of a-z 0-9 . _ -, starting and ending with a letter or digit.');
  end if;
  if role = 'owner' then
    perform private.fail(422, 'bad_agent', 'An agent is a reader, a reviewer or an editor; owners are people.');
  end if;
  if exists (select from public.agents a where a.project_id = project and a.name = prepare_agent.name and a.revoked_at is null) then
    perform private.fail(409, 'agent_exists', 'The project has an agent of that name. Rotate it, or revoke it first.',
      jsonb_build_object('name', name));
  end if;
  return jsonb_build_object('project', project, 'owner', auth.uid());
end
$$;
comment on function private.prepare_agent is 'Checks, before an account is made, that the caller may register an agent of this name.';
grant execute on function private.prepare_agent to authenticated;

create function private.register_agent(project uuid, account uuid, role public.member_role)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  said jsonb;
  known public.agents;
begin
  perform private.lock_project(project, 'owner');
  select * into known from public.agents a where a.account_id = account and a.project_id = project;
  if known.revoked_at is null and known.made_by = auth.uid() then
    return account;  -- a repeat, after a lost answer
  end if;
  select u.raw_app_meta_data into said from auth.users u where u.id = account and u.deleted_at is null;
  -- One answer for all reasons: who asks learns nothing of accounts that are not theirs.
  if known.account_id is not null
    or said ->> 'verso_project' is distinct from project::text or said ->> 'verso_owner' is distinct from auth.uid()::text
    or said ->> 'verso_agent' is null or not exists (select from public.profiles p where p.id = account)
    or exists (select from public.agents a where a.account_id = account)
    or exists (select from public.members m where m.user_id = account and m.project_id <> project) then
    perform private.fail(403, 'not_an_agent', 'That account was not made to be an agent of this project for you.');
  end if;
  perform private.prepare_agent(project, said ->> 'verso_agent', role);
  insert into public.agents (account_id, project_id, name, acts_for, made_by)
  values (account, project, said ->> 'verso_agent', auth.uid(), auth.uid());
  insert into public.members (user_id, project_id, role, added_by) values (account, project, register_agent.role, auth.uid())
  on conflict (user_id, project_id) do update set role = excluded.role;
  perform private.add_event(project, 'agent.added', jsonb_build_object('agent', account, 'name', said ->> 'verso_agent'));
  perform private.add_event(project, 'member.added',
    jsonb_build_object('person', account, 'role', register_agent.role, 'before', null));
  return account;
end
$$;
comment on function private.register_agent is 'Makes an account, which Auth says was made for this, an agent of the caller''s project.';
grant execute on function private.register_agent to authenticated;

create function private.find_agent(project uuid, agent text)
returns uuid
language plpgsql stable security definer
set search_path = ''
as $$
begin
  perform private.require_role(project, 'owner');
  return private.agent_id(project, agent);
end
$$;
comment on function private.find_agent is 'The account of an agent that the caller, as an owner, may rotate or revoke.';
grant execute on function private.find_agent to authenticated;

-- After its credential was changed: from now on it is the caller's.
create function private.take_agent(project uuid, agent text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  account uuid;
begin
  perform private.lock_project(project, 'owner');
  account := private.agent_id(project, agent);
  perform private.refuse_agents();
  if (select a.revoked_at is not null from public.agents a where a.account_id = account) then
    perform private.fail(409, 'agent_revoked', 'That agent was revoked, which is for ever. Make another one.');
  end if;
  update public.agents a set acts_for = auth.uid(), rotated_at = now() where a.account_id = account;
  perform private.add_event(project, 'agent.rotated', jsonb_build_object('agent', account));
  return account;
end
$$;
comment on function private.take_agent is 'Notes that an agent has another credential and acts for the caller from now on.';
grant execute on function private.take_agent to authenticated;

create function private.revoke_agent(project uuid, agent text)
returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
  account uuid;
begin
  perform private.lock_project(project, 'owner', even_archived => true);
  account := private.agent_id(project, agent);
  update public.agents a set revoked_at = now() where a.account_id = account and a.revoked_at is null;
  if found then
    perform private.add_event(project, 'agent.revoked', jsonb_build_object('agent', account));
    perform private.end_membership(project, account);
  end if;
  return account;
end
$$;
comment on function private.revoke_agent is 'Ends an agent''s membership and rights, at once and for ever; a repeat changes nothing.';
grant execute on function private.revoke_agent to authenticated;

create function public.prepare_agent(project text, name text, role public.member_role)
returns jsonb
language sql stable
set search_path = ''
as $$ select private.prepare_agent(private.project_id(project), name, role) $$;
comment on function public.prepare_agent is 'Whether the caller may make an agent of this name: {project, owner}, which the account''s app_metadata must say.';

create function public.register_agent(project text, account uuid, role public.member_role)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  made uuid := private.register_agent(private.project_id(project), account, role);
begin
  return (select to_jsonb(d) from public.agent_details d where d.id = made);
end
$$;
comment on function public.register_agent is 'Makes an account that was made for this an agent of the caller''s project.';

create function public.list_agents(project text, after text default null, page_size integer default 50)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  target uuid := private.project_id(project);
  seen_revoked boolean := split_part(after, ' ', 1) = 'revoked';
  seen_name text := split_part(after, ' ', 2);
  seen_at timestamptz := private.moment_or_null(split_part(after, ' ', 3));
  seen_id uuid := private.uuid_or_null(split_part(after, ' ', 4));
begin
  return (select coalesce(jsonb_agg(to_jsonb(d) order by d.revoked_at is not null, d.name, d.made_at desc, d.id), '[]')
    from (
      select * from public.agent_details a
      where a.project = target
        and (after is null or (a.revoked_at is not null, a.name) > (seen_revoked, seen_name)
          or (a.revoked_at is not null, a.name) = (seen_revoked, seen_name)
            and (a.made_at < seen_at or a.made_at = seen_at and a.id > seen_id))
      order by a.revoked_at is not null, a.name, a.made_at desc, a.id limit private.page_rows(page_size)) d);
end
$$;
comment on function public.list_agents is
  'A project''s agents by name, those that were revoked last; after is "active|revoked name made_at id" of the last one seen.';

create function public.find_agent(project text, agent text)
returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
  wanted uuid := private.find_agent(private.project_id(project), agent);
begin
  return (select to_jsonb(d) from public.agent_details d where d.id = wanted);
end
$$;
comment on function public.find_agent is 'An agent, by id or name, that the caller may rotate or revoke; owners only.';

create function public.take_agent(project text, agent text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  taken uuid := private.take_agent(private.project_id(project), agent);
begin
  return (select to_jsonb(d) from public.agent_details d where d.id = taken);
end
$$;
comment on function public.take_agent is 'After an agent''s credential was changed: it acts for the caller from now on.';

create function public.revoke_agent(project text, agent text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  gone uuid := private.revoke_agent(private.project_id(project), agent);
begin
  return (select to_jsonb(d) from public.agent_details d where d.id = gone);
end
$$;
comment on function public.revoke_agent is 'Ends an agent''s membership and rights at once; owners only.';

-- Some older projects gave auth.sessions to nobody else; then every call of an agent would fail, and no sooner.
create function public.may_read_sessions()
returns boolean
language sql stable
set search_path = ''
as $$
  select has_table_privilege(f.proowner, 'auth.sessions'::regclass, 'select')
  from pg_catalog.pg_proc f where f.oid = 'private.this_agent_rests'::regproc
$$;
comment on function public.may_read_sessions is 'Whether Verso''s functions may look up Auth''s sessions, which agents'' rights depend on; the doctor asks.';
revoke execute on function public.may_read_sessions from public, anon, service_role;
grant execute on function public.may_read_sessions to authenticated;

revoke execute on function public.prepare_agent, public.register_agent, public.list_agents, public.find_agent,
  public.take_agent, public.revoke_agent from public, anon, service_role;
grant execute on function public.prepare_agent, public.register_agent, public.list_agents, public.find_agent,
  public.take_agent, public.revoke_agent to authenticated;

revoke execute on all functions in schema private from public;
